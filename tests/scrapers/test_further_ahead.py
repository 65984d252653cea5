"""Which texts are asked for before anything is known of them, and in how many requests."""

from __future__ import annotations

from bridge.model.reads import KnownReads, ReadFile, ReadKind, Reads, Wanted
from bridge.model.scrape import Project, ProjectRead
from bridge.scrapers.gitlab.files import kind_at
from bridge.scrapers.gitlab.further_ahead import LIMIT, Ahead
from bridge.scrapers.gitlab.further_jobs import Job

NOTHING = KnownReads()
USUAL = ("CODEOWNERS", "docs", "mkdocs.yml")


def job(
    number: int,
    *named: str,
    known: KnownReads = NOTHING,
    told: str = "",
    oid: str = "",
    tip: str = "tip",
) -> Job:
    """A project whose manifest names some paths, and whose page told of usual ones:
    `f`ile, folde`r` or `a`bsent, in their order."""
    kinds = {"f": ReadKind.FILE, "r": ReadKind.FOLDER, "a": ReadKind.ABSENT}
    looked = tuple(
        ReadFile(path, kinds[kind], "" if kind == "a" else oid or f"{path} {number}")
        for path, kind in zip(USUAL, told, strict=False)
    )
    project = Project(number, f"shop/p{number}", default_branch="main")
    made = Job(ProjectRead(project, looked=looked, tip=tip), "key", known, "")
    made.wanted = Wanted(texts=frozenset({*named, "CODEOWNERS"}), named=frozenset(named))
    return made


def asked(ahead: Ahead, *jobs: Job) -> dict[str, set[int]]:
    """The projects that are asked for a text, by its path."""
    texts = {each.id: sorted(each.wanted.texts) for each in jobs}
    questions = ahead.of({each.id: each for each in jobs}, texts, texts).questions
    assert all(each.ahead and each.ids for each in questions)
    found: dict[str, set[int]] = {}
    for each in questions:
        found.setdefault(each.paths[0], set()).update(each.ids)
    return found


def test_what_is_likely_there_is_asked_for_of_projects_that_were_never_read() -> None:
    before = KnownReads("tip", "another key")
    found = asked(
        Ahead(USUAL),
        job(1, "api.yaml", told="f"),
        job(2, "api.yaml", told="a"),
        job(3),
        job(4, "api.yaml", known=before, told="f"),
    )
    assert found == {"api.yaml": {1, 2}, "CODEOWNERS": {1}}


def test_what_was_found_is_not_asked_for() -> None:
    one = job(1, "api.yaml", told="f")
    one.take(ReadFile("api.yaml", ReadKind.FILE, "o", 9, "text"))
    assert asked(Ahead(USUAL), one) == {"CODEOWNERS": {1}}


def test_texts_of_unknown_length_are_asked_for_within_a_bound() -> None:
    many = [job(number, "api.yaml") for number in range(1, 1001)]
    assert len(asked(Ahead(USUAL), *many)["api.yaml"]) == LIMIT // (64 * 1024)


def test_the_texts_that_came_tell_how_long_others_are() -> None:
    """By path for the usual ones: those are short everywhere, where definitions are long."""
    ahead, many = Ahead(USUAL), {n: job(n, "api.yaml", told="f") for n in range(1, 41)}
    texts = {number: ["CODEOWNERS", "api.yaml"] for number in many}

    def expected() -> dict[str, int]:
        questions = ahead.of(many, texts, texts).questions
        sizes: dict[str, int] = {}
        for each in questions:
            sizes[each.paths[0]] = sizes.get(each.paths[0], 0) + each.size
        return {path: size // len(many) for path, size in sizes.items()}

    assert expected() == {"CODEOWNERS": 64 * 1024, "api.yaml": 64 * 1024}
    first = ahead.of(many, texts, texts)
    for each in many.values():
        each.take(ReadFile("CODEOWNERS", ReadKind.FILE, "c", 100, "* @x"))
        each.take(ReadFile("api.yaml", ReadKind.FILE, "a", 90_000, "openapi"))
    ahead.learn(many, first)
    for each in many.values():
        each.found.clear()
    assert expected() == {"CODEOWNERS": 8 * 1024, "api.yaml": 180_000}


def test_a_text_far_too_long_does_not_keep_others_from_being_asked_for() -> None:
    ahead, one, more = Ahead(USUAL), {1: job(1, "api.yaml")}, {2: job(2, "api.yaml")}
    texts = {1: ["api.yaml"], 2: ["api.yaml"]}
    first = ahead.of(one, texts, texts)
    one[1].take(ReadFile("api.yaml", ReadKind.FILE, "a", 90 << 20, refused="90 MB"))
    ahead.learn(one, first)
    assert [each.ids for each in ahead.of(more, texts, texts).questions] == [(2,)]


def test_a_blob_that_several_have_is_read_from_one_of_them() -> None:
    """Also of those that come later, and of each by itself where it cannot be had of the one."""
    ahead = Ahead(USUAL)
    first = {n: job(n, told="f", oid="same" if n < 4 else "other") for n in (1, 2, 3, 4)}
    texts = {number: ["CODEOWNERS"] for number in (*first, 5, 6)}
    asked_of = ahead.of(first, texts, texts)
    assert [each.ids for each in asked_of.questions] == [(1, 4)]
    assert asked_of.concerned == {(n, "CODEOWNERS") for n in (1, 2, 3, 4)}

    first[1].take(ReadFile("CODEOWNERS", ReadKind.FILE, "same", 4, "* @x"))
    ahead.learn(first, asked_of)
    assert [
        each.found.get("CODEOWNERS") and each.found["CODEOWNERS"].text for each in first.values()
    ] == ["* @x", "* @x", "* @x", None]
    later = {5: job(5, told="f", oid="same"), 6: job(6, told="f", oid="other")}
    assert [each.ids for each in ahead.of(later, texts, texts).questions] == [(6,)]
    assert later[5].found["CODEOWNERS"].text == "* @x"


def test_a_long_blob_is_had_by_all_that_waited_for_it() -> None:
    ahead, both = Ahead(USUAL), {n: job(n, told="f", oid="long") for n in (1, 2)}
    texts = {number: ["CODEOWNERS"] for number in (1, 2, 3)}
    asked_of = ahead.of(both, texts, texts)
    both[1].take(ReadFile("CODEOWNERS", ReadKind.FILE, "long", 500_000, "text"))
    ahead.learn(both, asked_of)
    assert both[2].found["CODEOWNERS"].text == "text"
    # It is too long to be kept for those that come later.
    assert asked(ahead, job(3, told="f", oid="long")) == {"CODEOWNERS": {3}}


def test_all_that_is_under_way_stays_within_the_bound() -> None:
    """Of several parts of a crawl together; what came makes room again."""
    ahead = Ahead(USUAL)
    parts = [{n: job(n, "api.yaml") for n in range(k, k + 200)} for k in (1, 201, 401)]
    texts = {number: ["api.yaml"] for number in range(1, 601)}
    counts, under_way = [], []
    for part in parts:
        under_way.append(ahead.of(part, texts, texts))
        counts.append(sum(len(each.ids) for each in under_way[-1].questions))
    assert counts == [200, 56, 0]
    ahead.learn(parts[1], under_way[1])
    again = ahead.of(parts[2], texts, texts)
    assert sum(len(each.ids) for each in again.questions) == 56


def test_without_the_commit_a_page_tells_nothing_of_paths() -> None:
    """The commit that is asked for afterwards may be a later one, which has them."""
    one = job(1, told="far", tip="")
    assert (one.looked, one.there) == ({}, {})


def test_a_link_is_no_blob_that_others_have() -> None:
    """The same blob is a text in one repository, and in another one the name of a file."""
    link = kind_at({"path": "CODEOWNERS", "mode": "120000", "oid": "same"})
    one = Job(ProjectRead(Project(1, "shop/p1"), looked=(link,), tip="tip"), "key", NOTHING, "")
    one.wanted = Wanted(texts=frozenset({"CODEOWNERS"}))
    assert asked(Ahead(USUAL), one) == {}


def test_a_text_that_comes_twice_is_counted_once() -> None:
    one = job(1)
    for _ in range(20):
        one.take(ReadFile("api.yaml", ReadKind.FILE, "a", 1 << 20, "text"))
    assert one.found["api.yaml"].refused == ""


def test_a_file_that_is_as_it_was_is_not_asked_about_again() -> None:
    """Nor is what is no file. One whose text could not be had before is asked for."""
    same = ReadFile("CODEOWNERS", ReadKind.FILE, "CODEOWNERS 1", 7, kept=True)
    before = KnownReads("tip", "key", Reads({same.path: same}))
    assert job(1, known=before, told="far").looked == {
        "CODEOWNERS": same,
        "docs": ReadFile("docs", ReadKind.ABSENT),
        "mkdocs.yml": ReadFile("mkdocs.yml", ReadKind.FOLDER, "mkdocs.yml 1"),
    }
    assert job(2, known=before, told="f").looked == {}
    failed = ReadFile("CODEOWNERS", ReadKind.FILE, "CODEOWNERS 1", 7, refused="not now", kept=True)
    assert (
        job(1, known=KnownReads("tip", "key", Reads({failed.path: failed})), told="f").looked == {}
    )
