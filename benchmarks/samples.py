"""Makes the sample files: ``python -m benchmarks.samples DIRECTORY``."""

from __future__ import annotations

import html
import sys
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

#: Sections of a text: heading, and its paragraphs.
Sections = list[tuple[str, list[str]]]

LOOM: Final[Sections] = [
    (
        "The loom before the cards",
        [
            "A pattern is woven by lifting some threads of the warp and leaving others down while the shuttle passes with the"
            " weft. On the draw loom a helper sat above or beside the weaver and pulled the cords of each row by hand. Two people"
            " made about an inch of brocade a day.",
            "In 1725 Basile Bouchon of Lyon let a perforated roll of paper choose the cords. Jean-Baptiste Falcon put stiff cards"
            " in its place in 1728, laced to an endless chain. Jacques de Vaucanson built a loom in 1745 that drove such a"
            " selection by itself; it stood unused in Paris for half a century.",
        ],
    ),
    (
        "How the cards choose the threads",
        [
            "Joseph Marie Jacquard put these ideas together and showed his machine in 1804. Each card stands for one row of the"
            " cloth. The chain turns a square cylinder, which presses one card after the other against a bed of needles.",
            "Where the card has a hole, the needle passes through and its hook stays over a lifting bar: the thread is raised."
            " Where there is no hole, the needle is pushed back, its hook is tipped off the bar, and the thread stays down. So a"
            " hole lifts one thread, and the whole card chooses the threads of one row at once.",
            "A change of the pattern takes another chain of cards and no change of the loom. One weaver does the work of two.",
        ],
    ),
    (
        "What became of it",
        [
            "By 1812 about eleven thousand of these machines were at work in France. Weavers who feared for their living broke"
            " some of the first. In 1839 a portrait of Jacquard was woven in silk from twenty-four thousand cards.",
            "Charles Babbage owned one of these portraits. He took the cards over into the plan of his Analytical Engine, and"
            " Herman Hollerith counted the census of the United States of 1890 with punched cards.",
        ],
    ),
]

ENGINE: Final[Sections] = [
    (
        "Store and mill",
        [
            "The Analytical Engine, which Charles Babbage described in 1837, keeps apart what later machines call memory and"
            " processor. The store holds numbers in columns of wheels, the mill works on them.",
            "Numbers are moved from the store to the mill and back along racks. The engine was never completed.",
        ],
    ),
    (
        "Cards",
        [
            "Three kinds of cards direct the engine. Operation cards say what the mill does, variable cards say which columns of"
            " the store take part, and number cards bring constants.",
            "Because the chain of cards can be wound back, a part of the programme can be repeated. In 1843 Ada Lovelace"
            " published how the engine would work out the numbers of Bernoulli, and wrote that it weaves algebraical patterns"
            " just as the loom of Jacquard weaves flowers and leaves.",
        ],
    ),
]
PARTS: Final = [
    ["Part", "Task", "Today"],
    ["Store", "keeps numbers of forty digits", "memory"],
    ["Mill", "adds, subtracts, multiplies, divides", "processor"],
    ["Barrel", "holds the small steps of an operation", "microcode"],
    ["Printer", "prints results or punches them on cards", "output"],
]
STOCK: Final = {
    "Yarn": [
        ["article", "colour", "metres", "shelf"],
        ["silk 20/22", "madder red", 12500, "A3"],
        ["silk 20/22", "undyed", 40200, "A4"],
        ["linen 16", "bleached", 8300, "B1"],
        ["wool 2/28", "indigo", 15750, "C2"],
    ],
    "Orders": [
        ["article", "metres", "due"],
        ["wool 2/28", 4000, "2027-02-01"],
        ["linen 16", 2500, "2027-03-15"],
    ],
}
TALK: Final = [
    ("Patterns as data", ["A chain of cards is a programme", "The loom is its interpreter"], "Begin with the woven portrait."),
    ("One card, one row", ["A hole lifts a thread", "No hole leaves it down"], "Show a card and let it go round."),
    ("After the loom", ["Census of 1890", "Paper tape, then magnetic tape"], "Close with the question what a pattern is."),
]
TERMS: Final = {
    "warp": "The threads that are stretched on the loom and run the length of the cloth.",
    "weft": "The thread that the shuttle carries across, from one edge of the cloth to the other.",
    "shed": "The gap between raised and lowered threads, through which the shuttle passes.",
    "pick": "One passage of the shuttle, and so one row of the cloth.",
    "heddle": "The wire or cord with an eye through which a thread of the warp runs, and by which it is lifted.",
    "selvedge": "The edge of the cloth, where the weft turns back; it does not fray.",
}
HOURS: Final = [["Day", "Open"], ["Tuesday to Friday", "10 to 17 o'clock"], ["Saturday and Sunday", "11 to 18 o'clock"]]
HANDBOOK: Final[Sections] = [
    (
        "Warping",
        [
            "Wind the warp on the mill in even turns and tie the cross before it is taken off. A cross that is lost costs a day.",
            "Beam with two people: one turns, the other keeps the tension. Lay sticks or paper between the layers so that no"
            " thread cuts into those below.",
        ],
    ),
    (
        "Care of the loom",
        [
            "Oil the bearings of the cylinder once a month and wipe off what runs out: oil on a card makes it swell.",
            "Keep cards dry. At more than seventy per cent of humidity they warp, and needles miss their holes.",
        ],
    ),
]


def make(folder: Path) -> None:
    """Write all sample files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pdf(folder / "jacquard-loom.pdf", "The loom of Jacquard", LOOM)
    _docx(folder / "analytical-engine.docx", "The Analytical Engine", ENGINE)
    _xlsx(folder / "yarn-stock.xlsx")
    _pptx(folder / "talk.pptx")
    write_epub(folder / "handbook.epub", "Handbook of the weaving room", HANDBOOK)
    terms = "".join(f"## {term}\n\n{meaning}\n\n" for term, meaning in TERMS.items())
    (folder / "weaving-terms.md").write_text(f"# Weaving terms\n\n{terms}".rstrip() + "\n", encoding="utf-8")
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in HOURS)
    (folder / "opening-hours.html").write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Opening hours</title></head>\n<body>\n'
        "<h1>Opening hours of the weaving museum</h1>\n<p>The looms run every day at 14 o'clock. Entry is free on the first"
        f" Sunday of a month.</p>\n<table>\n{rows}</table>\n</body></html>\n",
        encoding="utf-8",
    )
    _eml(folder / "exhibition.eml")


def write_pdf(path: Path, title: str, sections: Sections) -> None:
    from reportlab.lib.pagesizes import A5
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

    class Outlined(SimpleDocTemplate):  # type: ignore[misc]
        def afterFlowable(self, flowable: Any) -> None:
            if flowable.__class__.__name__ == "Paragraph" and flowable.style.name == "Heading1":
                key = flowable.getPlainText()
                self.canv.bookmarkPage(key)
                self.canv.addOutlineEntry(key, key, 0)

    styles = getSampleStyleSheet()
    story: list[Any] = []
    for heading, paragraphs in sections:
        story += [PageBreak()] if story else [Paragraph(html.escape(title), styles["Title"])]
        story.append(Paragraph(html.escape(heading), styles["Heading1"]))
        story += [Paragraph(html.escape(each), styles["BodyText"]) for each in paragraphs]
    Outlined(str(path), pagesize=A5, title=title, author="Pypes", subject="Weaving", invariant=1).build(story)


def _docx(path: Path, title: str, sections: Sections) -> None:
    import docx

    made = docx.Document()
    made.core_properties.title = title
    made.core_properties.author = "Pypes"
    made.add_heading(title, 0)
    for heading, paragraphs in sections:
        made.add_heading(heading, 1)
        for each in paragraphs:
            made.add_paragraph(each)
    made.add_heading("Parts", 1)
    table = made.add_table(rows=len(PARTS), cols=len(PARTS[0]))
    for number, row in enumerate(PARTS):
        for column, cell in enumerate(row):
            table.cell(number, column).text = cell
    made.save(str(path))


def _xlsx(path: Path) -> None:
    import openpyxl

    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in STOCK.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    made.properties.title = "Stock of yarn"
    made.properties.creator = "Pypes"
    made.save(path)


def _pptx(path: Path) -> None:
    import pptx

    made = pptx.Presentation()
    made.core_properties.title = "From the loom to the machine"
    made.core_properties.author = "Pypes"
    for heading, lines, note in TALK:
        slide = made.slides.add_slide(made.slide_layouts[1])
        slide.shapes.title.text = heading
        slide.placeholders[1].text = "\n".join(lines)
        slide.notes_slide.notes_text_frame.text = note
    made.save(str(path))


def write_epub(path: Path, title: str, sections: Sections) -> None:
    container = (
        '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    chapters = {f"c{number}.xhtml": section for number, section in enumerate(sections, 1)}
    items = "".join(f'<item id="{Path(name).stem}" href="{name}" media-type="application/xhtml+xml"/>' for name in chapters)
    spine = "".join(f'<itemref idref="{Path(name).stem}"/>' for name in chapters)
    book = (
        '<?xml version="1.0"?><package version="3.0" xmlns="http://www.idpf.org/2007/opf" unique-identifier="id"><metadata'
        f' xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">pypes-handbook</dc:identifier><dc:title>{title}'
        "</dc:title><dc:creator>Pypes</dc:creator><dc:language>en</dc:language></metadata>"
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(_entry("mimetype"), "application/epub+zip")
        archive.writestr(_entry("META-INF/container.xml"), container, zipfile.ZIP_DEFLATED)
        archive.writestr(_entry("book.opf"), book, zipfile.ZIP_DEFLATED)
        for name, (heading, paragraphs) in chapters.items():
            body = "".join(f"<p>{html.escape(each)}</p>" for each in paragraphs)
            page = (
                '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>'
                f"{heading}</title></head><body><h1>{heading}</h1>{body}</body></html>"
            )
            archive.writestr(_entry(name), page, zipfile.ZIP_DEFLATED)


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))


def _eml(path: Path) -> None:
    mail = EmailMessage()
    mail["From"] = "Museum office <office@example.org>"
    mail["To"] = "Weaving room <weaving@example.org>"
    mail["Subject"] = "Exhibition of punched cards"
    mail["Date"] = "Mon, 02 Nov 2026 09:15:00 +0100"
    mail["Message-ID"] = "<exhibition@example.org>"
    mail.set_content(
        "The exhibition of punched cards opens on 14 January 2027 in the north hall.\n\n"
        "Please bring the card punch down from the attic before Christmas. The list of what is on loan is attached.\n"
    )
    mail.add_attachment(
        "On loan\n\nA chain of 480 cards for a ribbon with roses, insured for 2,500 euros.\n"
        "A model of the cylinder, oak and brass.\n",
        filename="loans.txt",
    )
    mail.set_boundary("----pypes-sample----")
    path.write_bytes(mail.as_bytes())


if __name__ == "__main__":
    make(Path(sys.argv[1]))
