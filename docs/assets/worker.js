/* Search without a server: browsers refuse workers of pages that are opened as files, so the search runs in a hidden frame. */
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const inner = frame.contentWindow
      inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      this.loaded = new Promise(resolve => {
        const script = inner.document.createElement("script")
        script.src = url
        script.onload = () => resolve(inner)
        inner.document.body.append(script)
      })
    }
    async postMessage(data) {
      const inner = await this.loaded
      inner.dispatchEvent(new inner.MessageEvent("message", { data }))
    }
  }
  window.Worker = window.IFrameWorker
}
