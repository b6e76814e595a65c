"""Catalogue of the sets and weights that `data fetch` downloads, and the sources of the others.

An entry has a checksum of the official file, and the place where that checksum is published; it is enforced wherever the
file comes from. The sets' licences are on their authors' pages: most are for research only.
"""

from __future__ import annotations

from typing import NamedTuple

from drnbench.datasets.layouts import JOINED, LEFT_OUT


class Remote(NamedTuple):
    """A set of images inside a published archive, or a published file of weights.

    Attributes:
        name: of the entry for users; images go to ROOT/name/HR.
        url: the official address.
        checksum: of the file behind the URL, as `sha256:...` or `md5:...`; None: `content` is checked instead.
        size: of that file in bytes; None: not published.
        folder: the folder in the archive whose images are wanted, with slashes; None: the file itself is wanted.
        images: how many images that folder holds.
        limit: bytes that these images may take on disk: an archive that announces more is refused.
        content: sha256 (hex) over name, a zero byte and bytes of each image, in the order of their names; None: not
            checked.
    """

    name: str
    url: str
    checksum: str | None
    size: int | None = None
    folder: str | None = None
    images: int = 0
    limit: int = 0
    content: str | None = None

    @property
    def file(self) -> str:
        """The name of the file behind the URL."""
        return self.url.rpartition("/")[2]


_MB = 1_000_000
_ETH = "https://data.vision.ee.ethz.ch/cvl/DIV2K"
_SNU = "https://cv.snu.ac.kr/research/EDSR"
_BERKELEY = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds/BSDS300-images.tgz"
_TORCHVISION = "https://download.pytorch.org/models"

# sha256 and size: single-image-super-resolution (YeapJieShen), tests/reference/fetch_urban100.py. torchSR,
# torchsr/datasets/benchmarks.py, gives an md5 of the file of the same address: 4ace41d33c2384b97e6b320cd0afd6ba.
_BENCHMARK = (
    f"{_SNU}/benchmark.tar",
    "sha256:80c21c333bbf6ceb5308b7243761f8284478274413a97b96f1d63e9045fd93e8",
    250_112_000,
)

# The images are checked, not the archive: ai-assisted-parallel-image-processing (Chicken20145),
# scripts/download_datasets.py, expects the archive in other gzip layers too, and publishes a sha256 over its 300 images,
# 44584b06a9d2f22028d345f087f99d2428a5b6c410e8bede069770a60a8a24ef. These two were taken from images that have it.
_BSDS300 = {
    "test": "82bd3ee6e168a69004477e79063cbbc14581363711fc74fa2803fb5c3484e94f",
    "train": "d1adad04b134918ba69a59f7f177deb7e5e464a98b0c93af1fd29cf3646a6d10",
}

# fmt: off
REMOTES = {
    remote.name: remote
    for remote in (
        # size and sha256: TensorFlow Datasets, tensorflow_datasets/datasets/div2k/checksums.tsv.
        Remote("DIV2K", f"{_ETH}/DIV2K_train_HR.zip",
               "sha256:9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335", size=3_530_603_713,
               folder="DIV2K_train_HR", images=800, limit=4_000 * _MB),
        # size and sha256: the same table.
        Remote("DIV2K-valid", f"{_ETH}/DIV2K_valid_HR.zip",
               "sha256:20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc", size=448_993_893,
               folder="DIV2K_valid_HR", images=100, limit=500 * _MB),
        # md5: torchSR, torchsr/datasets/flickr2k.py, and the same in esrgan (leverxgroup), esrgan/datasets.py.
        Remote("Flickr2K", f"{_SNU}/Flickr2K.tar", "md5:5d3f39443d5e9489bff8963f8f26cb03",
               folder="Flickr2K/Flickr2K_HR", images=2650, limit=15_000 * _MB),
        Remote("Set5", *_BENCHMARK, folder="benchmark/Set5/HR", images=5, limit=250 * _MB),
        Remote("Set14", *_BENCHMARK, folder="benchmark/Set14/HR", images=14, limit=250 * _MB),
        Remote("Urban100", *_BENCHMARK, folder="benchmark/Urban100/HR", images=100, limit=250 * _MB),
        # Not from benchmark.tar: Berkeley's own JPEGs.
        Remote("B100", _BERKELEY, None, folder="BSDS300/images/test", images=100, limit=30 * _MB, content=_BSDS300["test"]),
        Remote("BSDS200", _BERKELEY, None, folder="BSDS300/images/train", images=200, limit=30 * _MB,
               content=_BSDS300["train"]),
        # Weights of metrics. The backbones of LPIPS: torchvision's own names hold the first 8 digits of the sha256; the whole
        # sha256 and the size: fastvideo-rs (zaitrarrio), scripts/gpu/fetch-lpips.sh.
        Remote("alexnet", f"{_TORCHVISION}/alexnet-owt-7be5be79.pth",
               "sha256:7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02", size=244_408_911),
        # The same of CLIPassoStudio's list of models, and of many others.
        Remote("vgg16", f"{_TORCHVISION}/vgg16-397923af.pth",
               "sha256:397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", size=553_433_881),
        # The model of pristine photographs of NIQE's authors: size and sha256 of the file in that commit of their release.
        Remote("niqe",
               "https://raw.githubusercontent.com/utlive/niqe/d80aead297ff48b0254c39806f3a277b3ecbfc8d/modelparameters.mat",
               "sha256:fa2aa4d12dd9595c3fb6bf8b4e1a15c79d5d1469238d0901c88dead195be578d", size=8_347),
    )
}
# fmt: on

GIVEN_OUT = {
    "Manga109": "its authors give it out on application at manga109.org",
    "RealSRSet": "the authors of BSRGAN give it out with their code (github.com/cszn/BSRGAN)",
    "T91": "the authors of ScSR give it out with their code (Yang et al. 2010, Data/Training)",
}
"""Sets that are not fetched, because their authors have no stable address for them or no checksum is published."""


class SetSize(NamedTuple):
    """Number and sizes of the images of a standard set, for plans where the set is not at hand.

    Attributes:
        images: number of images, those of `LEFT_OUT` included.
        smallest: width and height of the image with the shortest side; None: not verified.
        largest: width and height of the image with the longest shorter side; None: not verified.
        at_least: `smallest` is a lower bound of both sides rather than the size of an image.
    """

    images: int
    smallest: tuple[int, int] | None = None
    largest: tuple[int, int] | None = None
    at_least: bool = False


# Measured on the images, but for DIV2K and Flickr2K: HAT (XPixelGroup/HAT at 1638a9a), hat/data/meta_info/
# meta_info_DF2Ksub_GT.txt, and BasicSR (XPixelGroup/BasicSR at 8d56e3a), basicsr/data/meta_info/meta_info_DIV2K800sub_GT.txt,
# list at least 16 whole crops of 480 x 480 of each of the 3450 images. Numbers of images: `layouts.STANDARD`.
SIZES = {
    "B100": SetSize(100, (321, 481), (481, 321)),
    "BSDS200": SetSize(200, (321, 481), (481, 321)),
    "DIV2K": SetSize(800, (480, 480), at_least=True),
    "DIV2K-valid": SetSize(100),
    "Flickr2K": SetSize(2650, (480, 480), at_least=True),
    "Manga109": SetSize(109),
    "RealSRSet": SetSize(20, (120, 120), (360, 360)),
    "Set14": SetSize(14, (250, 361), (720, 576)),
    "Set5": SetSize(5, (228, 344), (512, 512)),
    "T91": SetSize(91, (78, 78), (367, 387)),
    "Urban100": SetSize(100),
    "clip_city": SetSize(8, (704, 576), (704, 576)),
}
"""Facts on the standard sets; a size that no source here confirms is not in it."""


def sizes(name: str) -> list[SetSize]:
    """Return the facts on a standard set, or on each of the sets that a name joins; [] for any other name.

    Images of `LEFT_OUT` are not counted.

    >>> [size.images for size in sizes("DF2K")]
    [800, 2650]
    """
    parts = [part for part in JOINED.get(name, (name,)) if part in SIZES]
    return [SIZES[part]._replace(images=SIZES[part].images - len(LEFT_OUT.get(part, ()))) for part in parts]


def way_to_get(name: str) -> str:
    """Return how to get a set that is not there, as the end of a sentence; empty where there is no way."""
    parts = JOINED.get(name, (name,))
    return f"`data fetch {name}` gets it" if all(part in REMOTES for part in parts) else GIVEN_OUT.get(name, "")
