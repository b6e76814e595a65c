"""Videos as sources: which frames, decoded once, and what a damaged file says."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from drnbench.data.cache import fingerprint, hr_set, lr_set
from drnbench.datasets.sources import datasets, resolve
from drnbench.errors import DataError, UsageError


def record(path, shown=21, codec="mpeg4", pixels="yuv420p", extra=()):
    """Write a video of flat frames 32 x 24, frame i of level 16 + 8 i; `shown`: how many, or when (in 1/12 s)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = range(shown) if isinstance(shown, int) else shown
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=12)
        stream.width, stream.height, stream.pix_fmt = 32, 24, pixels
        stream.time_base = Fraction(1, 12)
        for i, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((24, 32, 3), (16 + 8 * i) % 232, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 12)
            container.mux(stream.encode(frame.reformat(format=pixels)))
        container.mux(stream.encode())
    return path


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.fixture
def store(tmp_path):
    return tmp_path / "cache"


def taken(source, store):
    """Which frames the images of a source are, by their levels."""
    return [round((float(hr.mean()) - 16) / 8) for hr in hr_set(fingerprint(str(source), store).images)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("clip.mp4", "mpeg4"),
        ("clip.MKV", "ffv1"),
        ("clip.avi", "mjpeg"),
        ("clip.mov", "mpeg4"),
        ("clip.webm", "libvpx"),
    ],
)
def test_frames_lie_evenly_in_time(tmp_path, store, name, codec):
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    clip = record(tmp_path / name, codec=codec, pixels=pixels)
    assert taken(f"{clip}@1", store) == [10]
    assert taken(f"{clip}@3", store) == [3, 10, 17]
    assert taken(f"{clip}@7", store) == [1, 4, 7, 10, 13, 16, 19]
    assert taken(f"{clip}@21", store) == list(range(21))
    assert taken(clip, store) == list(range(21))  # fewer than 32: all


def test_without_a_number_there_are_32(tmp_path, store):
    clip = record(tmp_path / "clip.mkv", 29 * 3, codec="ffv1")
    assert len(fingerprint(str(clip), store).images) == 32


def test_evenly_means_time_and_not_the_count_of_frames(tmp_path, store):
    # Five frames in a hurry, then one that stands for long, then three.
    clip = record(tmp_path / "clip.mkv", [0, 1, 2, 3, 4, 90, 94, 98], codec="ffv1")
    assert taken(f"{clip}@2", store) == [4, 5]
    assert taken(f"{clip}@8", store) == list(range(8))
    assert taken(f"{clip}@5", store) == sorted(set(taken(f"{clip}@5", store)))


def test_a_video_is_a_source_like_any_other(tmp_path, store, monkeypatch):
    monkeypatch.setenv("DRNBENCH_DATA", str(tmp_path / "root"))
    monkeypatch.chdir(tmp_path)
    record(tmp_path / "root/city.mp4")
    record(tmp_path / "a+b.mp4")
    source = fingerprint("city.mp4@3", store)
    assert [image.name for image in source.images] == ["city_0001", "city_0002", "city_0003"]
    assert [lr.shape for lr in lr_set(source.images, "bd:noise=2", 4, store)] == [(6, 8, 3)] * 3
    both = fingerprint("photos/test+city.mp4@2", store)
    assert [image.name for image in both.images][-3:] == ["rocket", "city_0001", "city_0002"]
    assert [image.name for image in fingerprint("./a+b.mp4@1", store).images] == ["a+b_0001"]
    assert resolve("photos/test+city.mp4@2").label == "photos-test+city"
    assert ("city.mp4", f"video {tmp_path / 'root/city.mp4'}", 0) in datasets()
    with pytest.raises(DataError, match="two images are called 'city_0001'"):
        fingerprint("city.mp4@2+city.mp4@1", store)


def test_a_label_needs_no_decoding(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"no video at all")
    source = resolve(f"{tmp_path / 'clip.mp4'}@4")
    assert source.label == "clip"
    assert [image.path for image in source.images] == [tmp_path / "clip.mp4"]


def test_a_folder_called_like_a_video_is_a_folder(tmp_path):
    (tmp_path / "clip.mp4").mkdir()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "clip.mp4/x.png")
    assert [image.name for image in resolve(str(tmp_path / "clip.mp4")).images] == ["x"]


@pytest.fixture
def opened(monkeypatch):
    """Names of the videos that were opened."""
    seen, real = [], av.open

    def spy(file, *args, **kwargs):
        seen.append(file)
        return real(file, *args, **kwargs)

    monkeypatch.setattr(av, "open", spy)
    return seen


def test_a_video_is_decoded_once(tmp_path, store, opened):
    clip = record(tmp_path / "clip.mp4")
    opened.clear()
    first = fingerprint(f"{clip}@4", store)
    count = len(opened)
    assert fingerprint(f"{clip}@4", store) == first
    assert len(opened) == count
    assert sorted(file.name for file in (store / "frames").glob("*/*.png")) == [f"000{i}.png" for i in (1, 2, 3, 4)]
    shutil.rmtree(store)
    assert fingerprint(f"{clip}@4", store).digest == first.digest
    record(clip, 18)
    assert fingerprint(f"{clip}@4", store).digest != first.digest


@pytest.mark.filterwarnings("ignore::drnbench.errors.DamageWarning")
@pytest.mark.parametrize("damage", ["deleted", "emptied", "flipped", "deleted record"])
def test_frames_that_are_not_whole_are_made_again(tmp_path, store, damage):
    source = f"{record(tmp_path / 'clip.mp4')}@3"
    whole = fingerprint(source, store).digest
    path = next((store / "frames").glob("*/frames.json" if damage == "deleted record" else "*/0002.png"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage.startswith("deleted"):
        path.unlink()  # without a record: as earlier versions left it
    else:
        path.write_bytes(b"" if damage == "emptied" else content)
    assert fingerprint(source, store).digest == whole
    assert len(list((store / "frames").glob("*/*.png"))) == 3
    assert path.exists() != (damage == "deleted record")


def test_several_at_a_time_make_the_frames_once(tmp_path, store, opened):
    clip = record(tmp_path / "clip.mp4")
    opened.clear()
    with ThreadPoolExecutor(4) as pool:
        fingerprints = list(pool.map(lambda _: fingerprint(f"{clip}@5", store), range(4)))
    assert len(set(fingerprints)) == 1
    assert len(opened) == 2  # the times, then the frames
    assert len(list((store / "frames").iterdir())) == 1


def test_an_interrupted_decoding_leaves_no_half_set(tmp_path, store, monkeypatch):
    clip, save = record(tmp_path / "clip.mp4"), Image.Image.save

    def interrupted(image, file, *args, **kwargs):
        if file.name == "0003.png":
            raise KeyboardInterrupt
        save(image, file, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fingerprint(f"{clip}@5", store)
    assert not list((store / "frames").iterdir())
    assert len(fingerprint(f"{clip}@5", store).images) == 5
    # A process that was killed leaves its part behind.
    (folder,) = (store / "frames").iterdir()
    folder.rename(folder.with_name(f".{folder.name}.tmp"))
    (folder.with_name(f".{folder.name}.tmp") / "0009.png").touch()
    assert len(fingerprint(f"{clip}@5", store).images) == 5
    assert [path.name for path in (store / "frames").iterdir()] == [folder.name]


@pytest.mark.parametrize(
    ("name", "codec", "share"),
    [("c.mp4", "mpeg4", 0.5), ("c.mp4", "mpeg4", 0), ("c.mkv", "ffv1", 0.1), ("c.mkv", "ffv1", 0.6), ("c.mkv", "mpeg4", 0.6),
     ("c.avi", "mpeg4", 0.9), ("c.webm", "libvpx", 0.7)],
)  # fmt: skip
def test_a_truncated_video_is_one_line(tmp_path, store, name, codec, share):
    clip = cut(record(tmp_path / name, codec=codec), share)
    with pytest.raises(DataError, match=rf"{name} .*(truncated|frames that can be read).*again") as caught:
        fingerprint(f"{clip}@3", store)
    assert "\n" not in str(caught.value)
    assert not (store / "frames").exists() or not list((store / "frames").iterdir())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("./gone.mp4", "gone.mp4: no such video; looked in .*gone.mp4"),
        ("gone.mkv@3", "gone.mkv: no such video; looked in .*root/gone.mkv, .*gone.mkv"),
        ("short.mp4@9", "short.mp4 has 6 frames, not 9: ask for short.mp4@6"),
        ("short.mp4@0", "1 to 9999, as in short.mp4@8"),
        ("short.mp4@", "1 to 9999"),
        ("short.mp4@many", "1 to 9999"),
        ("short.mp4@-3", "1 to 9999"),
        ("short.mp4@99999999999999999999", "1 to 9999"),
        ("text.mp4", "text.mp4 is not a video that can be read"),
        ("list.mp4", "list.mp4 is not a video that can be read"),
        ("deep.mkv", r"more than 8 bits a channel \(yuv420p10le\)"),
        ("sound.mkv", "holds no video"),
        ("notes.txt", "is a file and no video"),
    ],
)
def test_unusable_videos_are_one_line_errors(tmp_path, store, monkeypatch, source, message):
    monkeypatch.setenv("DRNBENCH_DATA", str(tmp_path / "root"))
    monkeypatch.chdir(tmp_path)
    record(tmp_path / "short.mp4", 6)
    (tmp_path / "text.mp4").write_text("hello")
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path / 'short.mp4'}\n#EXT-X-ENDLIST\n")
    (tmp_path / "notes.txt").touch()
    record(tmp_path / "deep.mkv", 3, codec="ffv1", pixels="yuv420p10le")
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(DataError, match=message) as caught:
        fingerprint(source, store)
    assert "\n" not in str(caught.value)


def test_without_pyav(tmp_path, store, monkeypatch):
    clip = record(tmp_path / "clip.mp4")
    source = fingerprint(f"{clip}@2", store)
    monkeypatch.setitem(sys.modules, "av", None)
    assert fingerprint(f"{clip}@2", store) == source  # decoded already
    with pytest.raises(DataError, match=r"clip\.mp4 is a video.*pip install 'drnbench\[video\]'"):
        fingerprint(f"{clip}@3", store)


def test_a_cache_that_cannot_be_written(tmp_path):
    clip = record(tmp_path / "clip.mp4")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        fingerprint(str(clip), tmp_path / "file")
