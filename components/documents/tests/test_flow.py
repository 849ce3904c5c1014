"""Which markup ends a word of a page."""

from __future__ import annotations

import pytest
from selectolax.lexbor import LexborHTMLParser

from pypes_documents.flow import OUT_OF_LINE, spaced, take_out
from pypes_documents.job import Text
from pypes_documents.page_blocks import add_blocks


def text_of(page: str) -> str:
    """The words of a page, in one line."""
    texts = []
    for source in (page, page.encode()):
        tree = LexborHTMLParser(spaced(source))
        take_out(tree.css(OUT_OF_LINE))
        text = Text(10_000)
        add_blocks(text, tree)
        words = [text.text[block.start : block.end] for block in text.blocks if block.rows is None]
        words += [cell for block in text.blocks for row in block.rows or () for cell in row]
        texts.append(" ".join(" ".join(words).split()))
    assert texts[0] == texts[1]
    return texts[0]


IN_LINE = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark nobr output q s samp small span strike"
    " strong sub sup time tt u var"
)
PARTING = (
    "address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure footer form h1 h2 h3 h4"
    " h5 h6 header hgroup legend li listing main menu nav ol p pre search section summary ul button my-box unheard-of"
)


@pytest.mark.parametrize("tag", IN_LINE.split())
def test_elements_within_a_line_join_words(tag: str) -> None:
    assert text_of(f"<p><{tag}>un</{tag}>believ<{tag} class='x'>able</{tag}>!") == "unbelievable!"
    assert text_of(f"<p><{tag.upper()}>un</{tag.upper()}>believable") == "unbelievable"


@pytest.mark.parametrize("tag", PARTING.split())
def test_blocks_part_words(tag: str) -> None:
    assert text_of(f"one<{tag}>two</{tag}>three") == "one two three"
    assert text_of(f"one<{tag.upper()} id=x>two</{tag.upper()}\n>three") == "one two three"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p><b>W</b>elcome to the super<wbr>market, H<sub>2</sub>O", "Welcome to the supermarket, H2O"),
        ("<ul><li>one<li>two</ul>three", "one two three"),
        ("<table><tr><td>left<td>right<tr><th>below</table>after", "after left right below"),
        ("<select><option>red<option>green</select>", "red green"),
        ("line<br>break<br/>again<hr>end", "line break again end"),
        ("one<img src=x>two<input>three", "one two three"),
        ("super\u00admarket zero\u200bwidth word\u2060joiner \ufeffmark a \u200b b", "supermarket zerowidth wordjoiner mark a b"),
        ("super&shy;market&nbsp;x", "supermarket x"),
        ("\u0645\u06cc\u200c\u062e\u0648", "\u0645\u06cc\u200c\u062e\u0648"),
        ("5<!-- -->px, wel<!-- <p> -->come", "5px, welcome"),
        ("<p>one</p><!-- x --><p>two", "one two"),
        ("one<!-- x --><p>two<!-- y -->", "one two"),
        ("un<b></b><!-- x --><I class=x>believ</I></b>able<b><!-- x --></b>!", "unbelievable!"),
        ("one<b></b><br>two<i><p>three</i></p>four", "one two three four"),
        ("""un<a title='a > <p>'>believ</a><a title = "a > <p>">able</a>""", "unbelievable"),
        ("<p title=it's>un<b title=it's>believ</b>able</p>it's", "unbelievable it's"),
        ("un<?x?>believ<![if x]>able", "unbelievable"),
        ("one<script>if (a<b) x = '<p>'</script>two<style>p {}</style>three", "one two three"),
        ("one<svg><title>t</title><script>x</script></svg>two", "one two"),
        ("<body><noscript><p>no</p></noscript>yes", "yes"),
        ("<pre>first\n  second</pre>", "first second"),
        ("a<3 and 2<b and x < y", "a<3 and 2"),
        ("<ruby>東<rp>(</rp><rt>とう</rt><rp>)</rp>京<rt>きょう</rt></ruby>都", "東京 とうきょう 都"),
        ("<p>one <b>two</b> <i>three</i>,", "one two three,"),
        ("<p>one\f<p>two", "one two"),
        ("<p>one</p>\ntwo<h1>three</h1> <h2>four</h2><b>five</b>\f six</body>\n<p>seven", "one two three four five six seven"),
        ("<table><tr><td>one</td>\n<td>two</td>\n</tr>\n<tr><td>three</table>\nfour", "four one two three"),
        ("<select><option>one</option>\n<option>two</option>\n</select>", "one two"),
        ("one<pre>\ntwo</pre>\nthree", "one two three"),
        ("<textarea>a<p>b</textarea>", "a <p>b"),
        ("", ""),
    ],
)
def test_pages(page: str, text: str) -> None:
    assert text_of(page) == text


@pytest.mark.parametrize(
    "piece",
    [
        *("<p", "<p>", "<b>x</b>", "</", "<", "<Ab", "<span ", "<ruby>a<rt>b</ruby>", "<script></script>", "\u00ad"),
        *("x<!--", "x<!", "x<b>", "x<b><b", "x<a b='", 'x<a b="', "x<a b=", "x<a b='\""),
    ],
)
def test_the_source_of_a_page_is_read_in_one_pass(piece: str) -> None:
    # the gaps of twice as much are twice as many: none depends on what stands far from it
    assert len(spaced(piece * 2000)) - 2000 * len(piece) == pytest.approx(
        2 * (len(spaced(piece * 1000)) - 1000 * len(piece)), abs=1
    )
