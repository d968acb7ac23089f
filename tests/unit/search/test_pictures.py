"""Photos that nobody has vetted: what is read, what is refused, and that nothing tags along."""

from __future__ import annotations

import os
import random
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from atlas.errors import PictureError
from atlas.search.pictures import hosted_copy, read_picture

MAX_PIXELS = 1_000_000
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
DATA = Path(os.environ.get("ATLAS_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
FROG = DATA / "frogpix-ccby" / "Leuc1.jpg"


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The picture as a file of this kind."""
    target = BytesIO()
    picture.save(target, format=kind, **options)
    return target.getvalue()


def corners() -> Image.Image:
    """48 x 32 pixels: red, green above blue, white."""
    picture = Image.new("RGB", (48, 32), WHITE)
    picture.paste(RED, (0, 0, 24, 16))
    picture.paste(GREEN, (24, 0, 48, 16))
    picture.paste(BLUE, (0, 16, 24, 32))
    return picture


def near(picture: Image.Image, place: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    """Whether a pixel has this colour but for the losses of JPEG."""
    found = np.asarray(picture.getpixel(place), dtype=int)
    return bool(np.abs(found - colour).max() < 24)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_each_allowed_format_is_read(kind: str) -> None:
    """A camera's or a museum's pictures would all be rejects."""
    picture = read_picture(encoded(corners(), kind), max_pixels=MAX_PIXELS)
    assert (picture.mode, picture.size) == ("RGB", (48, 32))
    assert near(picture, (4, 4), RED)
    assert near(picture, (44, 4), GREEN)
    assert near(picture, (4, 28), BLUE)


def test_of_an_animation_the_first_frame_is_read() -> None:
    """Another frame, or a frame laid over others, would be indexed."""
    frames = [Image.new("RGB", (20, 20), colour) for colour in (RED, GREEN)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert near(read_picture(data, max_pixels=MAX_PIXELS), (10, 10), RED), kind


@pytest.mark.parametrize(
    "data",
    [
        b"species,latitude,longitude\nRana arvalis,60.1,24.9\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\0",
        encoded(corners(), "PPM"),
        encoded(corners(), "ICO"),
        encoded(corners(), "EPS"),
    ],
    ids=["csv", "svg", "one byte", "ppm", "ico", "eps"],
)
def test_other_files_are_not_images(data: bytes) -> None:
    """Formats outside the list reach decoders (PostScript!) that nobody meant to expose."""
    with pytest.raises(PictureError, match="JPEG, PNG") as caught:
        read_picture(data, max_pixels=MAX_PIXELS)
    assert caught.value.reason == "not_an_image"


def test_an_empty_file_has_a_reason_of_its_own() -> None:
    """Failed downloads leave empty files; they are to be fetched again, not repaired."""
    with pytest.raises(PictureError) as caught:
        read_picture(b"", max_pixels=MAX_PIXELS)
    assert caught.value.reason == "image_empty"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_truncated_picture_is_damaged(kind: str, share: float) -> None:
    """Half a photo, the rest grey, would be embedded as if it were one."""
    noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(PictureError) as caught:
        read_picture(data[: max(8, int(len(data) * share))], max_pixels=MAX_PIXELS)
    assert caught.value.reason == "image_damaged"


def test_size_is_checked_before_decoding() -> None:
    """A file of 80 bytes would allocate gigabytes."""
    header = struct.pack(">IIBBBBB", 40_000, 3_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"not deflated")
    with pytest.raises(PictureError) as caught:
        read_picture(bomb, max_pixels=MAX_PIXELS)
    assert caught.value.reason == "image_too_large"
    exact = encoded(Image.new("RGB", (100, 100)), "PNG")
    assert read_picture(exact, max_pixels=10_000).size == (100, 100)
    with pytest.raises(PictureError, match="100 x 100 pixels; at most 9999") as caught:
        read_picture(exact, max_pixels=9_999)
    assert caught.value.reason == "image_too_large"


def test_no_setting_passes_the_limit_of_the_decoder() -> None:
    """A careless plan would still not open a picture of a billion pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"")
    with pytest.raises(PictureError) as caught:
        read_picture(bomb, max_pixels=10**12)
    assert caught.value.reason == "image_too_large"


# Where the red corner of the stored picture has to be shown, for each EXIF orientation.
RED_CORNER = {
    1: (0, 0),
    2: (1, 0),
    3: (1, 1),
    4: (0, 1),
    5: (0, 0),
    6: (1, 0),
    7: (1, 1),
    8: (0, 1),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured_once(kind: str, orientation: int) -> None:
    """Phone photos would be embedded lying on their side, or turned twice."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    picture = read_picture(encoded(corners(), kind, exif=exif), max_pixels=MAX_PIXELS)
    assert picture.size == ((48, 32) if orientation < 5 else (32, 48))
    right, down = RED_CORNER[orientation]
    place = (4 + right * (picture.width - 9), 4 + down * (picture.height - 9))
    assert near(picture, place, RED)
    assert not picture.getexif()


def test_nonsense_in_exif_leaves_the_picture_as_it_is() -> None:
    """A photo would be refused for a broken comment of its camera."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 77
    data = encoded(corners(), "JPEG", exif=exif)
    assert near(read_picture(data, max_pixels=MAX_PIXELS), (4, 4), RED)
    broken = encoded(corners(), "PNG", exif=b"Exif\0\0MM\0*\0\0")
    assert near(read_picture(broken, max_pixels=MAX_PIXELS), (4, 4), RED)


def test_colour_modes_become_rgb() -> None:
    """Scans and cut-outs would fail, or turn black."""
    palette = encoded(corners().convert("P"), "PNG")
    assert near(read_picture(palette, max_pixels=MAX_PIXELS), (4, 4), RED)
    grey = encoded(Image.new("L", (20, 20), 128), "JPEG")
    assert near(read_picture(grey, max_pixels=MAX_PIXELS), (4, 4), (128, 128, 128))
    black_and_white = encoded(Image.new("1", (20, 20), 1), "TIFF")
    assert near(read_picture(black_and_white, max_pixels=MAX_PIXELS), (4, 4), WHITE)
    for kind in ("JPEG", "TIFF"):
        printed = encoded(corners().convert("CMYK"), kind)
        assert near(read_picture(printed, max_pixels=MAX_PIXELS), (4, 4), RED), kind


def test_transparency_is_laid_on_white() -> None:
    """Cut-out specimens would stand on black, or on whatever hid below the transparency."""
    cut_out = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    cut_out.paste((255, 0, 0, 255), (0, 0, 10, 20))
    palette = cut_out.convert("RGB").convert("P")
    palette.info["transparency"] = palette.getpixel((15, 10))
    files = [
        encoded(cut_out, "PNG"),
        encoded(cut_out, "WEBP", lossless=True),
        encoded(cut_out, "TIFF"),
        encoded(cut_out, "GIF"),
        encoded(palette, "PNG"),
    ]
    for data in files:
        picture = read_picture(data, max_pixels=MAX_PIXELS)
        assert near(picture, (5, 10), RED)
        assert near(picture, (15, 10), WHITE)
    half = encoded(Image.new("LA", (8, 8), (0, 128)), "PNG")
    assert near(read_picture(half, max_pixels=MAX_PIXELS), (4, 4), (127, 127, 127))


def test_deep_greyscale_keeps_its_shades() -> None:
    """Pillow clips 16 bits at 255: X-rays and microscope pictures would be plain white."""
    levels = np.linspace(0, 65535, 64, dtype=np.uint16)[None, :].repeat(8, axis=0)
    for kind in ("PNG", "TIFF"):
        data = encoded(Image.fromarray(levels), kind)
        shades = np.asarray(read_picture(data, max_pixels=MAX_PIXELS))[0, :, 0]
        np.testing.assert_allclose(shades, np.linspace(0, 255, 64), atol=1)
    counts = Image.fromarray((levels.astype(np.int32) - 1000) * 3)
    elevation = Image.fromarray(levels.astype(np.float32) / 7)
    for picture in (counts, elevation):
        read = read_picture(encoded(picture, "TIFF"), max_pixels=MAX_PIXELS)
        shades = np.asarray(read)[0, :, 0]
        np.testing.assert_allclose(shades, np.linspace(0, 255, 64), atol=1)
    flat = encoded(Image.fromarray(np.full((4, 4), np.nan, dtype=np.float32)), "TIFF")
    assert near(read_picture(flat, max_pixels=MAX_PIXELS), (2, 2), (0, 0, 0))


def with_metadata() -> bytes:
    """A JPEG with a place, a comment, a colour profile and a turned orientation."""
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "A. Observer"
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (60.0, 10.0, 15.0)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return encoded(corners(), "JPEG", exif=exif, icc_profile=profile, comment=b"nest site")


def assert_no_metadata(data: bytes) -> None:
    """Neither Pillow nor a search for the markers finds any."""
    copy = Image.open(BytesIO(data))
    assert not copy.getexif()
    assert set(copy.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    for marker in (b"Exif", b"ICC_PROFILE", b"http", b"GPS", b"nest site", b"Observer"):
        assert marker not in data


def test_metadata_ends_at_the_door() -> None:
    """The place of a nest would be published with its photo."""
    data = with_metadata()
    assert Image.open(BytesIO(data)).getexif().get_ifd(ExifTags.IFD.GPSInfo)
    picture = read_picture(data, max_pixels=MAX_PIXELS)
    assert type(picture) is Image.Image
    assert not picture.info
    assert not picture.getexif()
    assert_no_metadata(hosted_copy(picture, 64)[0])
    # Also where a caller opened the picture itself.
    assert_no_metadata(hosted_copy(Image.open(BytesIO(data)), 64)[0])


def test_a_hosted_copy_is_small_and_repeatable() -> None:
    """A second build would give other bytes, so another checksum."""
    picture = Image.new("RGB", (900, 300), GREEN)
    data, media_type = hosted_copy(picture, 300)
    assert media_type == "image/jpeg"
    assert Image.open(BytesIO(data)).size == (300, 100)
    assert data == hosted_copy(picture, 300)[0]
    assert picture.size == (900, 300)
    assert Image.open(BytesIO(hosted_copy(picture, 5000)[0])).size == (900, 300)
    assert Image.open(BytesIO(hosted_copy(picture, 1)[0])).size == (1, 1)
    with pytest.raises(ValueError, match="at least 1"):
        hosted_copy(picture, 0)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow remarks on damaged EXIF blocks
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_damage_anywhere_is_a_picture_error_or_a_picture(kind: str) -> None:
    """Any other exception would stop a build at one bad photo, or answer an upload with a 500."""
    chance = random.Random(11)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    options = {} if kind in {"GIF", "BMP"} else {"exif": exif}
    whole = encoded(corners(), kind, **options)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            data[min(int(chance.expovariate(4 / len(data))), len(data) - 1)] = chance.randrange(256)
        assert outcome(bytes(data)) in {
            "RGB",
            "not_an_image",
            "image_damaged",
            "image_too_large",
        }


def outcome(data: bytes) -> str:
    """The mode of what was read, or the reason why nothing was."""
    try:
        return read_picture(data, max_pixels=MAX_PIXELS).mode
    except PictureError as error:
        return error.reason


@pytest.mark.skipif(not FROG.is_file(), reason="the shared photos are not beside this checkout")
def test_a_real_photo_loses_its_place() -> None:
    """A real camera writes more blocks than a test does."""
    data = FROG.read_bytes()
    assert Image.open(BytesIO(data)).getexif().get_ifd(ExifTags.IFD.GPSInfo)
    copy, _ = hosted_copy(read_picture(data, max_pixels=50_000_000), 512)
    assert_no_metadata(copy)
    assert max(Image.open(BytesIO(copy)).size) == 512
