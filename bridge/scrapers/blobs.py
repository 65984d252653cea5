"""What makes a file unfit to be read as a manifest; the same for every source."""

from __future__ import annotations

SIZE_LIMIT = 256 * 1024  # bytes; the largest manifest seen in the wild has a tenth of it
READ_LIMIT = 1024 * 1024  # of what is read besides manifests: definitions of APIs are long
# How a pointer begins: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
_LFS = "version https://git-lfs.github.com/spec/"


def refusal(size: int, *, symlink: bool = False, lfs: bool = False, limit: int = SIZE_LIMIT) -> str:
    """Why a file is refused by what is known without its text; "" when it is not."""
    if symlink:
        return "a symbolic link"
    if lfs:
        return "an LFS pointer"
    if size > limit:
        return f"{_size(size)}; the limit is {_size(limit)}"
    return ""


def refusal_of_text(text: str, limit: int = SIZE_LIMIT) -> str:
    """Why a text is refused; "" when it is not."""
    if text.startswith(_LFS):
        return refusal(0, lfs=True)
    if "\0" in text:
        return "binary"
    return refusal(len(text.encode("utf-8", "surrogatepass")), limit=limit)


def decode(raw: bytes) -> tuple[str | None, str]:
    """The text of a file's bytes and "", or None and why it is refused."""
    if raw.startswith(_LFS.encode()):
        return None, refusal(0, lfs=True)
    if b"\0" in raw:
        return None, "binary"
    try:
        return raw.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 (at byte {error.start})"


def _size(size: int) -> str:
    # Rounded up, so that what is over the limit by a byte does not read as the limit itself.
    return f"{size / 1024 / 1024:.1f} MB" if size >= 1024 * 1024 else f"{-(-size // 1024)} kB"
