"""Lists of addresses: every row accounted for, and no host asked more than it allows."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atlas.bundle.flags import Flag
from atlas.errors import BuildError, PictureError, PlanError
from indexer.fetching import photo_cache
from indexer.fetching.addresses import is_public, parsed, problem_of
from indexer.fetching.client import retry_after_s
from indexer.fetching.hosts import Host, Limits, Wanted
from indexer.plan_sections import DEFAULT_RANKS, HostSection, UrlsSection
from indexer.sources.url_list import UrlSource
from tests.unit.indexer.photo_host import Answer, PhotoHost, photo_host
from tests.unit.indexer.shards import jpeg
from tests.unit.indexer.test_written import flip


@pytest.fixture
def host() -> Iterator[PhotoHost]:
    """A host that works."""
    with photo_host() as running:
        yield running


def source_of(folder: Path, content: str = "", **settings: Any) -> UrlSource:
    """A source of a table, which asks quickly and gives up soon."""
    table = folder / "photos.csv"
    if content:
        table.write_text(content)
    section = UrlsSection(
        **{
            "key": "web",
            "title": "Photos of the web",
            "path": table,
            "contact": "ann@example.org",
            "private_addresses": True,
            "requests_per_s": 1000.0,
            "retry_wait_s": 0.01,
            "timeout_s": 5.0,
            "fetch_threads": 4,
            **settings,
        }
    )
    return UrlSource(
        section,
        ranks=DEFAULT_RANKS,
        resolution=7,
        part_rows=4,
        with_pictures=True,
        max_file_bytes=100_000,
        scratch=folder / "scratch",
    )


def fetch(source: UrlSource, *addresses: str) -> int:
    """Fetch, and how many addresses were settled; the end is waited for, but not forever."""
    settled: list[int] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            source.fetch(iter(addresses), settled.append)
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    working = threading.Thread(target=run, daemon=True)
    working.start()
    working.join(60)
    assert not working.is_alive(), "the fetching does not end"
    assert not failed, failed
    return sum(settled)


def reason(source: UrlSource, address: str) -> tuple[str, str]:
    """Why an address gave no photo."""
    with pytest.raises(PictureError) as caught:
        source.picture(address)
    return str(caught.value.reason), caught.value.problem


def test_rows_become_records_or_rejects(tmp_path: Path) -> None:
    """Would break: a row without a sound address is lost, or a photo has the record's licence."""
    content = (
        "occurrenceID,scientificName,mediaURL,mediaLicense,license\n"
        "a,Hyla arborea,https://example.org/a.jpg,CC BY 4.0,CC0\n"
        "b,Hyla arborea,,CC0,\n"
        "c,Hyla arborea,ftp://example.org/c.jpg,CC0,\n"
        "d,Hyla arborea,file:///etc/passwd,CC0,\n"
        "a,Hyla arborea,https://example.org/b.jpg,,CC0\n"
        "e,Hyla arborea\n"
        ",Rana temporaria,http://user@example.org/e.jpg,CC0,\n"
        ",Rana temporaria,https://example.org/f.jpg?size=l,ask me,\n"
    )
    source = source_of(tmp_path, content)
    read = [source.read(part) for part in source.parts()]
    records = [row for part in read for row in part.records.to_pylist()]
    rejects = [row for part in read for row in part.rejects.to_pylist()]
    assert sum(part.rows_in for part in read) == 8
    assert [(row["row"], row["reason"]) for row in rejects] == [
        (3, "no_file_named"),
        (4, "address_refused"),
        (5, "address_refused"),
        (7, "ragged_row"),
        (8, "address_refused"),
    ]
    assert [(row["media_ref"], row["media_licence"]) for row in records] == [
        ("https://example.org/a.jpg", "CC-BY-4.0"),
        ("https://example.org/b.jpg", None),
        ("https://example.org/f.jpg?size=l", "ask me"),
    ]
    assert all(row["media_url"] == row["media_ref"] for row in records)
    assert len({row["image_id"] for row in records}) == 3
    assert records[2]["flags"] & Flag.OCCURRENCE_ID_MADE
    assert [row["lineage"][5] for row in records] == ["Hyla", "Hyla", "Rana"]
    with pytest.raises(PlanError, match="no column 'nowhere'"):
        source_of(tmp_path, address_column="nowhere").parts()


@pytest.mark.parametrize("contact", ["", "me", "me@home", "ftp://example.org"])
def test_a_plan_says_who_asks(contact: str) -> None:
    """Would break: hosts are asked by someone whom they cannot reach."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(
            {"kind": "urls", "key": "k", "title": "T", "path": "t.csv", "contact": contact},
            UrlsSection,
            dec_hook=lambda _kind, value: Path(value),
        )


def test_photos_are_fetched_once(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: a build that goes on asks again for what it has, or says not who it is."""
    source = source_of(tmp_path)
    addresses = [f"{host.url}/{number}.jpg" for number in range(8)]
    assert fetch(source, *addresses[:5], addresses[0]) == 6
    assert fetch(source_of(tmp_path), *addresses) == 8
    assert sorted(host.paths()) == [f"/{number}.jpg" for number in range(8)]
    assert [source.picture(address) for address in addresses] == [jpeg(n) for n in range(8)]
    assert all(source.picture_stamp(address) for address in addresses)
    (agent,) = {seen.agent for seen in host.seen}
    assert re.fullmatch(r"biodiversity-atlas/\S+ \(\+ann@example\.org\)", agent)
    assert reason(source, "https://example.org/other.jpg")[0] == "file_missing"
    assert source.picture_stamp("https://example.org/other.jpg") == ""


def test_a_photo_that_was_damaged_is_fetched_again(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: pixels that a disk changed between two runs are embedded as the host's."""
    address = f"{host.url}/3.jpg"
    source = source_of(tmp_path)
    fetch(source, address)
    (path,) = (path for path in (tmp_path / "scratch").rglob("*") if path.is_file())
    for damage in (flip, lambda path: path.write_bytes(path.read_bytes()[:-1])):
        stamp = source.picture_stamp(address)
        damage(path)
        with pytest.raises(BuildError, match=r"/3\.jpg, is not as it was written; start again"):
            source.picture(address)
        assert source.picture_stamp(address) == ""
        fetch(source, address)
        assert source.picture(address) == jpeg(3)
        assert source.picture_stamp(address) == stamp
    assert host.paths() == ["/3.jpg"] * 3


def test_a_fault_that_was_damaged_is_asked_again(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: a photo counts as gone for ever, or a build stops, for a bit in a note."""
    host.answers = {"/1.jpg": [Answer(status=404), Answer(body=jpeg(1))]}
    address = f"{host.url}/1.jpg"
    source = source_of(tmp_path)
    fetch(source, address)
    assert reason(source, address)[0] == "file_missing"
    (path,) = (path for path in (tmp_path / "scratch").rglob("*") if path.is_file())
    flip(path)
    fetch(source, address)
    assert source.picture(address) == jpeg(1)


def test_a_photo_counts_by_its_bytes(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: the same photos, fetched on another day, make another bundle."""
    other = jpeg(2)
    host.answers = {"/1.jpg": [Answer(body=jpeg(1)), Answer(body=jpeg(1)), Answer(body=other)]}
    address = f"{host.url}/1.jpg"
    stamps = []
    for day in range(3):
        (tmp_path / str(day)).mkdir()
        source = source_of(tmp_path / str(day))
        fetch(source, address)
        stamps.append(source.picture_stamp(address))
    assert stamps[0] == stamps[1] != stamps[2]
    assert stamps[2] == hashlib.sha256(other).hexdigest()


def test_faults_that_pass_are_tried_again(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: a photo is lost to one bad moment of its host, or half of it is kept."""
    whole = jpeg(1)
    host.answers = {
        "/1.jpg": [Answer(status=500), Answer(status=502), Answer(body=whole)],
        "/2.jpg": [Answer(body=whole, sent=len(whole) // 2), Answer(body=whole)],
        "/3.jpg": [Answer(status=0), Answer(body=whole)],
        "/4.jpg": [Answer(body=whole, stall_s=3.0), Answer(body=whole)],
    }
    source = source_of(tmp_path, timeout_s=0.5)
    addresses = [f"{host.url}/{number}.jpg" for number in (1, 2, 3, 4)]
    assert fetch(source, *addresses) == 4
    assert [source.picture(address) for address in addresses] == [whole] * 4
    assert sorted(host.paths()) == sorted(["/1.jpg"] * 3 + ["/2.jpg", "/3.jpg", "/4.jpg"] * 2)
    assert not list((tmp_path / "scratch").rglob(".*"))


def test_faults_that_stay_are_told(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: rows without a photo have no reason, or a page of text is kept as a photo."""
    whole = jpeg(1)
    loop = {f"/{n}.jpg": [Answer(status=302, headers={"Location": f"/{n}.jpg"})] for n in (6,)}
    host.answers = loop | {
        "/1.jpg": [Answer(status=404)],
        "/2.jpg": [Answer(body=b"<html>", headers={"Content-Type": "text/html; charset=utf-8"})],
        "/3.jpg": [Answer(body=bytes(100_001))],
        "/4.jpg": [Answer(body=whole, sent=10)],
        "/5.jpg": [Answer(status=301, headers={"Location": "file:///etc/passwd"})],
    }
    source = source_of(tmp_path, tries=2)
    addresses = {number: f"{host.url}/{number}.jpg" for number in range(1, 7)}
    assert fetch(source, *addresses.values(), "gopher://example.org/") == 7
    told = {number: reason(source, address) for number, address in addresses.items()}
    assert {number: why for number, (why, _) in told.items()} == {
        1: "file_missing",
        2: "not_an_image",
        3: "image_too_large",
        4: "download_failed",
        5: "address_refused",
        6: "file_missing",
    }
    assert told[1][1].endswith("answered 404")
    assert told[2][1].endswith("is text/html")
    assert told[4][1].endswith("tried 2 times")
    assert told[6][1].endswith("moved more than 5 times")
    assert host.paths().count("/6.jpg") == 6
    # The next build asks again for what may have passed, and not for what will not.
    before = len(host.paths())
    host.answers["/4.jpg"] = [Answer(body=whole)]
    assert fetch(source_of(tmp_path, tries=2), *addresses.values()) == 6
    assert sorted(host.paths()[before:]) == ["/3.jpg", "/4.jpg"]
    assert source.picture(addresses[4]) == whole


def test_photos_that_were_moved_are_followed(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: a photo behind a short address, or on the host's other name, is lost."""
    other = host.url.replace("127.0.0.1", "localhost")
    host.answers = {
        "/1.jpg": [Answer(status=301, headers={"Location": "2.jpg"})],
        "/2.jpg": [Answer(status=307, headers={"Location": f"{other}/9.jpg"})],
    }
    source = source_of(tmp_path)
    assert fetch(source, f"{host.url}/1.jpg") == 1
    assert source.picture(f"{host.url}/1.jpg") == jpeg(9)


def test_a_host_that_asks_to_wait_is_left_alone(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: a museum's server is hammered while it asks for rest."""
    busy = Answer(status=429, headers={"Retry-After": "1"})
    host.answers = {"/1.jpg": [busy, Answer(body=jpeg(1))]}
    source = source_of(tmp_path, connections=1)
    began_s = time.monotonic()
    assert fetch(source, f"{host.url}/1.jpg", f"{host.url}/2.jpg") == 2
    assert time.monotonic() - began_s >= 1.0
    # Not the other photo of the same host either.
    assert host.paths() == ["/1.jpg", "/2.jpg", "/1.jpg"]


def test_a_host_that_asks_for_too_long_a_rest_is_given_up(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: a build waits for a day, or asks a host that has said no."""
    host.answers = {"/1.jpg": [Answer(status=503, headers={"Retry-After": "3600"})]}
    source = source_of(tmp_path, connections=1, longest_wait_s=5.0)
    addresses = [f"{host.url}/{number}.jpg" for number in (1, 2, 3)]
    assert fetch(source, *addresses) == 3
    assert host.paths() == ["/1.jpg"]
    for address in addresses:
        why, detail = reason(source, address)
        assert why == "download_failed"
        assert "asks for 3600 s of rest" in detail


def test_a_host_that_only_fails_is_given_up(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: a million addresses of a dead host are each tried four times."""
    host.answers = {f"/{n}.jpg": [Answer(status=500)] for n in range(30)}
    dead = "http://127.0.0.1:9/1.jpg".replace("127.0.0.1", "localhost")
    source = source_of(tmp_path, give_up_after=5, connections=1)
    addresses = [f"{host.url}/{number}.jpg" for number in range(30)]
    assert fetch(source, *addresses, dead) == 31
    assert len(host.paths()) == 5
    assert "5 failures in a row" in reason(source, addresses[29])[1]
    assert "robots.txt cannot be read" in reason(source, dead)[1]


def test_a_host_that_drips_is_cut_off(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: bytes that come one by one hold a thread forever, each of them in time."""
    host.answers = {"/1.jpg": [Answer(body=jpeg(1), stall_s=1.0)]}
    source = source_of(tmp_path, deadline_s=0.2, tries=1)
    assert fetch(source, f"{host.url}/1.jpg") == 1
    assert "no whole photo in 0.2 s" in reason(source, f"{host.url}/1.jpg")[1]


def test_the_pace_of_a_host_is_kept(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: many threads together ask a host more often than any of them may."""
    name = {"127.0.0.1": HostSection(requests_per_s=10.0, connections=1)}
    source = source_of(tmp_path, hosts=name, fetch_threads=8)
    began_s = time.monotonic()
    assert fetch(source, *(f"{host.url}/{number}.jpg" for number in range(6))) == 6
    # The rules of the host, and six photos: as late as this, however slow the machine is.
    assert time.monotonic() - began_s >= 0.6


def test_a_busy_host_is_asked_half_as_often() -> None:
    """Would break: a host that says it is busy is asked at the same pace as before."""
    host = Host(Limits(connections=8, interval_s=0.25))
    address = parsed("https://example.org/a.jpg")
    assert address is not None
    host.waiting.extend([Wanted("a", address)] * 20)
    host.start(now_s=10.0)
    assert host.next_s == 10.25
    for _ in range(3):
        host.slow_down()
    host.start(now_s=20.0)
    assert host.next_s == 22.0
    for _ in range(30):
        host.slow_down()
    host.start(now_s=30.0)
    assert host.next_s == 90.0  # once a minute, and never stopped
    host.obey(address.origin, "User-agent: *\nRequest-rate: 1/100\nDisallow: /b")
    host.start(now_s=100.0)
    assert host.next_s == 200.0
    assert not host.is_free()
    assert host.allows(address)
    assert not host.allows(address._replace(text="https://example.org/b.jpg"))


def test_no_more_connections_than_allowed(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: a slow host has all threads of the build at once."""
    host.slow_s = 0.1
    source = source_of(tmp_path, connections=2, fetch_threads=8)
    assert fetch(source, *(f"{host.url}/{number}.jpg" for number in range(12))) == 12
    assert max(seen.running for seen in host.seen) == 2


def test_robots_rules_are_obeyed(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: a host that asks for one request a second gets a thousand."""
    rules = b"User-agent: *\nCrawl-delay: 0.2\nDisallow: /*.gif$\n"
    host.answers = {"/robots.txt": [Answer(body=rules, headers={"Content-Type": "text/plain"})]}
    source = source_of(tmp_path, connections=4, fetch_threads=4)
    addresses = [f"{host.url}/{name}" for name in ("1.jpg", "2.jpg", "3.gif", "4.jpg")]
    began_s = time.monotonic()
    assert fetch(source, *addresses) == 4
    # After the rules a rest, and then one address of the four every 0.2 s.
    assert time.monotonic() - began_s >= 0.8
    assert sorted(host.paths()) == ["/1.jpg", "/2.jpg", "/4.jpg"]
    assert max(seen.running for seen in host.seen) == 1
    assert [seen.path for seen in host.seen].count("/robots.txt") == 1
    why, detail = reason(source, addresses[2])
    assert why == "address_refused"
    assert "robots.txt of 127.0.0.1 forbids" in detail


def test_a_slow_host_does_not_hold_up_others(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: the whole list waits for its slowest host."""
    slow = {"localhost": HostSection(requests_per_s=2.0)}
    source = source_of(tmp_path, hosts=slow, fetch_threads=2)
    other = host.url.replace("127.0.0.1", "localhost")
    addresses = [f"{other}/{n}.jpg" for n in range(3)] + [
        f"{host.url}/{n}.jpg" for n in range(20, 40)
    ]
    assert fetch(source, *addresses) == 23
    # All of the quick host's were asked for before the slow host's last.
    assert host.paths()[-1] == "/2.jpg"


def test_private_networks_are_not_asked(tmp_path: Path, host: PhotoHost) -> None:
    """Would break: a list of strangers reads what only this machine may, such as cloud keys."""
    source = source_of(tmp_path, private_addresses=False)
    addresses = [f"{host.url}/1.jpg", host.url.replace("127.0.0.1", "localhost") + "/1.jpg"]
    assert fetch(source, *addresses) == 2
    assert not host.seen
    assert [reason(source, address)[0] for address in addresses] == ["address_refused"] * 2


def test_a_full_disk_is_a_clear_stop(
    tmp_path: Path, host: PhotoHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: every photo of a list counts as missing because there was no room for it."""

    def full(path: Path) -> Iterator[Path]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(photo_cache, "atomic_path", contextmanager(full))
    source = source_of(tmp_path)
    addresses = (f"{host.url}/{number}.jpg" for number in range(500))
    with pytest.raises(BuildError, match="photos cannot be kept: No space left"):
        source.fetch(addresses, lambda _: None)
    assert len(host.paths()) < 500


@pytest.mark.parametrize(
    ("number", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - refused, not listened on
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
    ],
)
def test_which_numbers_are_of_the_internet(number: str, public: bool) -> None:
    """Would break: a network of the builder's is taken for the internet, or the internet is not."""
    assert is_public(number) is public


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("https://example.org/a.jpg", True),
        ("HTTP://EXAMPLE.ORG", True),
        ("https://[2001:db8::1]:8443/a", True),
        ("https://münchen.example/a.jpg", True),
        ("//example.org/a.jpg", False),
        ("https:///a.jpg", False),
        ("https://example.org:99999/", False),
        ("https://ann:secret@example.org/", False),
        ("javascript:alert(1)", False),
        ("https://example.org/a\x00.jpg", False),
        ("example.org/a.jpg", False),
    ],
)
def test_which_addresses_are_of_the_web(text: str, good: bool) -> None:
    """Would break: a sound address is refused, or one reaches the client that it cannot send."""
    assert (problem_of(text) is None) is good


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("120", 120.0),
        ("Fri, 02 Jan 2026 00:01:00 GMT", 60.0),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-5", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, wait_s: float | None) -> None:
    """Would break: a host's wish is not understood, and it is asked too early."""
    assert retry_after_s(text, datetime(2026, 1, 2, tzinfo=UTC)) == wait_s
