"""Joins PDFs of some pages each into one, piece by piece: only one of them is held at a time."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pypdf import PdfReader
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    IndirectObject,
    NameObject,
    NumberObject,
    StreamObject,
)

_HEAD: Final = b"%PDF-1.7\n%\x80\x80\x80\x80\n"
_CATALOG, _PAGES, _INFO = 1, 2, 3
_PAGE_COUNT: Final = re.compile(rb"(<xmpTPg:NPages>)\d+(</xmpTPg:NPages>)")


def joined(parts: Iterable[bytes], page_count: int) -> Iterator[bytes]:
    """One PDF with the pages of all parts in their order; ``page_count`` is what they come to.

    The parts are documents of one kind and standard; title, language, metadata and colour profile are those
    of the first, so PDF/A-2b parts make a PDF/A-2b document. Outlines, links and tags are left behind.
    """
    writing = _Writing()
    yield from writing.given([_HEAD])
    head: dict[str, Any] = {}
    for part in parts:
        reader = PdfReader(io.BytesIO(part))
        if not head:
            yield from writing.given(writing.head_of(reader, page_count, head))
        yield from writing.given(writing.pages_of(reader))
    yield from writing.given(writing.tail(head))


class _Writing:
    """Numbers objects anew and remembers where each of them stands."""

    def __init__(self) -> None:
        self._offset = 0
        self._at: dict[int, int] = {}
        self._digest = hashlib.sha256()
        self._next = _INFO + 1
        self._pages: list[int] = []

    def given(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Gives pieces away one by one: where an object stands is known once all before it are gone."""
        for piece in pieces:
            self._offset += len(piece)
            self._digest.update(piece)
            yield piece

    def head_of(self, reader: PdfReader, page_count: int, head: dict[str, Any]) -> Iterator[bytes]:
        """Writes what the whole document takes from its first part; ``head`` becomes its catalog."""
        root = reader.root_object
        copying = _Copying(self)
        for name in ("/Lang", "/ViewerPreferences", "/OutputIntents"):
            if name in root:
                head[name] = copying.renumbered(root.raw_get(name))
        metadata = StreamObject()
        metadata[NameObject("/Type")] = NameObject("/Metadata")
        metadata[NameObject("/Subtype")] = NameObject("/XML")
        text = root["/Metadata"].get_object().get_data()  # type: ignore[union-attr]
        metadata.set_data(_PAGE_COUNT.sub(rb"\g<1>%d\g<2>" % page_count, text))
        head["/Metadata"] = IndirectObject(self.number(), 0, None)
        yield self.written(head["/Metadata"].idnum, metadata)
        yield self.written(_INFO, copying.renumbered(reader.trailer["/Info"].get_object()))
        yield from copying.pending()

    def pages_of(self, reader: PdfReader) -> Iterator[bytes]:
        copying = _Copying(self)
        for page in reader.pages:
            kept = DictionaryObject(
                {
                    NameObject(name): copying.renumbered(page.raw_get(name))
                    for name in page
                    if name not in ("/Parent", "/StructParents", "/Tabs")
                }
            )
            kept[NameObject("/Parent")] = IndirectObject(_PAGES, 0, None)
            self._pages.append(self.number())
            yield self.written(self._pages[-1], kept)
        yield from copying.pending()

    def tail(self, head: dict[str, Any]) -> Iterator[bytes]:
        kids = ArrayObject(IndirectObject(number, 0, None) for number in self._pages)
        pages = {"/Type": NameObject("/Pages"), "/Kids": kids, "/Count": NumberObject(len(self._pages))}
        yield self.written(_PAGES, _dictionary(pages))
        catalog = {"/Type": NameObject("/Catalog"), "/Pages": IndirectObject(_PAGES, 0, None), **head}
        yield self.written(_CATALOG, _dictionary(catalog))
        start, digest = self._offset, self._digest.hexdigest()[:32]
        rows = [b"%010d 00000 n \n" % self._at[number] for number in range(1, self._next)]
        yield b"xref\n0 %d\n0000000000 65535 f \n" % self._next + b"".join(rows)
        yield (
            f"trailer\n<< /Size {self._next} /Root {_CATALOG} 0 R /Info {_INFO} 0 R"
            f" /ID [<{digest}> <{digest}>] >>\nstartxref\n{start}\n%%EOF\n"
        ).encode()

    def number(self) -> int:
        self._next += 1
        return self._next - 1

    def written(self, number: int, value: Any) -> bytes:
        """An object's text; it is given away before anything else is."""
        self._at[number] = self._offset
        text = io.BytesIO()
        text.write(b"%d 0 obj\n" % number)
        value.write_to_stream(text)
        text.write(b"\nendobj\n")
        return text.getvalue()


class _Copying:
    """Objects of one part under new numbers; those that are referred to wait until they are written."""

    def __init__(self, writing: _Writing) -> None:
        self._writing = writing
        self._numbers: dict[int, int] = {}
        self._waiting: list[IndirectObject] = []

    def renumbered(self, value: Any) -> Any:
        """The value with its references renumbered; streams keep their bytes as they are."""
        if isinstance(value, IndirectObject):
            if value.idnum not in self._numbers:
                self._numbers[value.idnum] = self._writing.number()
                self._waiting.append(value)
            return IndirectObject(self._numbers[value.idnum], 0, None)
        if isinstance(value, StreamObject):
            copy = type(value)()
            copy._data = value._data
            copy.update({name: self.renumbered(value.raw_get(name)) for name in value if name != "/Length"})
            return copy
        if isinstance(value, DictionaryObject):
            return _dictionary({name: self.renumbered(value.raw_get(name)) for name in value})
        if isinstance(value, ArrayObject):
            return ArrayObject(self.renumbered(one) for one in list.__iter__(value))
        return value

    def pending(self) -> Iterator[bytes]:
        while self._waiting:
            found = self._waiting.pop()
            number = self._numbers[found.idnum]
            yield self._writing.written(number, self.renumbered(found.get_object()))


def _dictionary(values: dict[str, Any]) -> DictionaryObject:
    return DictionaryObject({NameObject(name): value for name, value in values.items()})
