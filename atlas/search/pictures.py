"""Reads photos that nobody has vetted, and makes the copies that a bundle hosts.

Knows bytes and pixels, no files, models or HTTP. A picture that leaves here is upright 8-bit RGB
and carries no metadata: no EXIF, no GPS, no colour profile. Thread rule: pure functions, safe in
many threads; Pillow releases the GIL while it decodes and resizes.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

from atlas.errors import PictureError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
HOSTED_MEDIA_TYPE = "image/jpeg"
HOSTED_QUALITY = 85
JPEG_LARGEST_SIDE_PX = 65_500

# What Pillow's decoders raise on damaged input; found by decoding mutated files of every format.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"BM", b"RIFF")
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WHITE = (255, 255, 255)


def read_picture(data: bytes, *, max_pixels: int) -> Image.Image:
    """Decode one photo to upright RGB without metadata; of an animation, its first frame.

    The size is checked before a pixel is decoded; beyond some 179 million pixels Pillow itself
    refuses, whatever `max_pixels` allows. Transparency is laid on white, the ground of specimen
    photos. Colour profiles are ignored, not converted: the encoders were trained on photos read
    that way. Raises PictureError: image_empty, not_an_image, image_too_large, image_damaged.
    """
    if not data:
        raise PictureError("image_empty", "the file is empty")
    picture = _open(data)
    width, height = picture.size
    if width * height > max_pixels:
        raise PictureError(
            "image_too_large", f"{width} x {height} pixels; at most {max_pixels} are read"
        )
    try:
        picture.load()
        return _without_metadata(_upright(_as_rgb(picture), picture))
    except _DAMAGE as error:
        raise PictureError("image_damaged", f"{picture.format} cannot be decoded") from error


def hosted_copy(picture: Image.Image, max_side_px: int) -> tuple[bytes, str]:
    """The JPEG that a bundle hosts, and its media type: no side over `max_side_px`, no metadata.

    Never enlarges. Equal pictures give equal bytes with one build of Pillow.
    """
    if max_side_px < 1:
        raise ValueError(f"max_side_px must be at least 1, not {max_side_px}")
    side_px = min(max_side_px, JPEG_LARGEST_SIDE_PX)
    # Pillow writes a profile or comment that hangs on the picture unless it starts clean.
    copy = _without_metadata(picture)
    copy.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    target = BytesIO()
    copy.save(target, format="JPEG", quality=HOSTED_QUALITY, optimize=True)
    return target.getvalue(), HOSTED_MEDIA_TYPE


def _open(data: bytes) -> Image.Image:
    """Read the header only."""
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except _BOMBS as error:
        raise PictureError("image_too_large", "more pixels than can be read safely") from error
    except _DAMAGE as error:
        if data.startswith(_SIGNATURES):
            raise PictureError("image_damaged", "the head of the picture is damaged") from error
        raise PictureError(
            "not_an_image", f"not a picture in one of the formats {', '.join(FORMATS)}"
        ) from error


def _as_rgb(picture: Image.Image) -> Image.Image:
    """8-bit RGB of any colour mode that the allowed formats can hold."""
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith("I;16"):
        # Pillow would clip at 255 and turn nearly every pixel white.
        levels = np.asarray(picture).astype(np.float32) / 257
        return Image.fromarray(np.rint(levels).astype(np.uint8)).convert("RGB")
    if picture.mode in {"I", "F"}:
        return _stretched(picture).convert("RGB")
    if picture.has_transparency_data:
        colours = picture.convert("RGBA")
        ground = Image.new("RGB", picture.size, _WHITE)
        ground.paste(colours, mask=colours.getchannel("A"))
        return ground
    return picture.convert("RGB")


def _stretched(picture: Image.Image) -> Image.Image:
    """32-bit greyscale has no agreed white: its own darkest and lightest become black and white."""
    levels = np.nan_to_num(np.asarray(picture, dtype=np.float64), posinf=0.0, neginf=0.0)
    lowest, highest = float(levels.min()), float(levels.max())
    scale = 255 / (highest - lowest) if highest > lowest else 0.0
    return Image.fromarray(np.rint((levels - lowest) * scale).astype(np.uint8))


def _upright(colours: Image.Image, original: Image.Image) -> Image.Image:
    """Turn the picture as its EXIF says; a broken EXIF block is no reason to refuse a photo.

    Read after decoding: Pillow turns a TIFF itself while it decodes, and then drops the tag.
    """
    try:
        orientation = original.getexif().get(_ORIENTATION_TAG)
    except _DAMAGE:
        return colours
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return colours if turn is None else colours.transpose(turn)


def _without_metadata(picture: Image.Image) -> Image.Image:
    """The pixels alone, in a picture of their own."""
    clean = Image.new("RGB", picture.size)
    clean.paste(picture)
    return clean
