"""Images inside a page: as small as they are shown."""

import base64
import io

from PIL import Image

SIDE = 224
SMALL_BYTES = 4096
_FORMATS = ("PNG", "JPEG", "WEBP")


def picture_uri(content: bytes, *, side: int = SIDE) -> str | None:
    """An image file as a data URI, shrunk and compressed unless it is small; None if it is no image."""
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
        kind = image.format or "PNG"
        if len(content) > SMALL_BYTES:
            written = io.BytesIO()
            image.thumbnail((side, side))
            image.convert("L" if image.mode == "L" else "RGB").save(written, "WEBP", quality=80)
            content, kind = written.getvalue(), "WEBP"
        else:
            image.verify()
    except Exception:  # Pillow's decoders raise what they like
        return None
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}"
