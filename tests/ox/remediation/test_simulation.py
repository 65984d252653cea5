"""300 services over 60 days on the sandbox GitLab, with everything that goes wrong in between.

Ten teams hear of what is theirs: gates that broke, critical vulnerabilities, an initiative.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bridge.model.entities import Ref
from bridge.model.facts import Fact, Reading
from bridge.model.initiatives import Initiative, Progress, open_service
from bridge.model.notices import Delivery, DeliveryState, Notice
from bridge.model.remediation import CHECKLIST, ActionOutcome, Case, CaseStatus, IssueKey
from bridge.model.scores import CheckState, Scoreboard
from bridge.model.tracker import IssueChange, Listing, NewIssue, SeenIssue
from bridge.ox.facts.snyk import CRITICALS, SNYK
from bridge.ox.interfaces import NOWHERE
from bridge.ox.notices.channels import WebhookChannel
from bridge.ox.notices.notifying import Notifier
from bridge.ox.notices.occasions import Sightings
from bridge.ox.remediation.gitlab import GitLabIssues
from bridge.ox.remediation.marker import key_hash, read_marker
from bridge.ox.remediation.posting import Webhook
from bridge.ox.remediation.reconcile_issues import SnoozePolicy
from bridge.ox.remediation.rules import RemediatedSource, Rules, Task
from bridge.ox.remediation.running import Remediator
from bridge.ox.remediation.situation import Policy
from bridge.ox.scores.initiatives import concerned, promised
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.tracker import BOT, Happened, SandboxUser
from bridge.sandbox.world import World
from bridge.store import SqlStore, open_store
from tests.ox.notices.receiver import receiving
from tests.ox.notices.sightings import RUBRIC
from tests.ox.remediation.fleets import CHECKS, GATES, board, drafts, place, result, score, service
from tests.sandbox.conftest import HandClock

pytestmark = pytest.mark.real

SERVICES = 300
DAYS = 60
CALM = 40  # from this day on people, GitLab and checks behave, so that the end can be judged
SETTLED = 55  # from this day on nothing changes any more
BREAK = 48  # on this day some services break, and stay broken
BROKEN = range(1, 13)
COLLECTOR_DOWN = range(14, 18)  # one check is unknown everywhere
CHECK_WRONG = range(22, 27)  # one check fails everywhere
CRASHES = (8, 13, 24, 32, 37)  # the process that writes dies after its fourth write
RESTART = 6
SNOOZE = timedelta(days=30)
PER_RUN, PER_SERVICE = 20, 3
ARCHIVED, ARCHIVED_ON = 252, 20  # archived in GitLab; the crawl leaves it out from the next day on
DOOMED, DOOMED_ON = 298, 22  # scheduled for deletion: renamed, still shown, takes nothing
CLOSED = (ARCHIVED, DOOMED)
ROTATED = {17: False, 29: True}  # another token, so another user; True: the old one is deleted


# When the process that tells teams dies: False just before it sends, True just after.
UNTOLD = {9: False, 15: True, 26: False, 34: True}
TEAMS = 10
GOAL_DUE = 30

NOTE = "Seen by the team."


class Crash(BaseException):
    """The process dies here."""


@dataclass
class Mortal:
    """A tracker whose process can die right after a write took effect."""

    inner: GitLabIssues
    lives: int = -1  # writes until death; negative: immortal

    async def listing(
        self, known: Collection[tuple[int, int]], unsure: Mapping[int, datetime] = NOWHERE
    ) -> Listing:
        return await self.inner.listing(known, unsure)

    async def closed(self, project_id: int) -> str:
        return await self.inner.closed(project_id)

    async def labelled_by(self, project_id: int, iid: int, label: str) -> str:
        return await self.inner.labelled_by(project_id, iid, label)

    async def open(self, issue: NewIssue) -> SeenIssue:
        return self._survived(await self.inner.open(issue))

    async def change(self, change: IssueChange) -> SeenIssue:
        return self._survived(await self.inner.change(change))

    def _survived(self, seen: SeenIssue) -> SeenIssue:
        self.lives -= 1
        if self.lives == 0:
            raise Crash
        return seen


class MortalChannel(WebhookChannel):
    """A webhook whose process can die between the intent and what becomes of it."""

    def __init__(self, inner: Webhook, dies: bool | None = None) -> None:
        super().__init__({}, inner)
        self.dies = dies

    async def send(self, team: str, notices: Sequence[Notice], batch: str) -> DeliveryState:
        if self.dies is False:
            raise Crash
        state = await super().send(team, notices, batch)
        if self.dies:
            raise Crash
        return state


@dataclass
class Fleet:
    """The truth about every service and check, and what the collectors say of it."""

    dice: random.Random
    clock: HandClock
    passing: dict[tuple[int, str], bool] = field(default_factory=dict)
    flapping: set[tuple[int, str]] = field(default_factory=set)
    seen: dict[int, datetime] = field(default_factory=dict)
    told: list[dict[tuple[Ref, str], CheckState]] = field(default_factory=list)
    baseline: set[tuple[int, str]] = field(default_factory=set)
    ever_passed: set[tuple[int, str]] = field(default_factory=set)
    left_out: set[int] = field(default_factory=set)
    fate: random.Random = field(default_factory=lambda: random.Random(31))  # of what Snyk says
    criticals: dict[tuple[int, str], datetime] = field(default_factory=dict)
    came: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        for number in range(1, SERVICES + 1):
            for check in CHECKS:
                self.passing[number, check] = self.dice.random() > 0.12
        pairs = sorted(self.passing)
        self.flapping = set(self.dice.sample(pairs, 40))
        self.baseline = {pair for pair, passes in self.passing.items() if not passes}

    def live(self, day: int) -> None:
        if day >= SETTLED:
            return
        calm = day >= CALM
        for pair in self.passing:
            if pair in self.flapping and not calm:
                self.passing[pair] = self.dice.random() < 0.5
            elif self.passing[pair] and not calm and self.dice.random() < 0.004:
                self.passing[pair] = False
            elif not self.passing[pair] and self.dice.random() < (0.15 if calm else 0.03):
                self.passing[pair] = True
        for pair in [pair for pair in self.criticals if self.fate.random() < 0.02]:
            del self.criticals[pair]
        for _ in range(2 if day < CALM else 0):
            key = f"CVE-{len(self.came)}"
            self.came[key] = day
            self.criticals[self.fate.randint(1, SERVICES - 60), key] = self.clock.now
        if day >= BREAK:
            for number in BROKEN:
                self.passing[number, "owner"] = self.passing[number, "readme"] = False

    def board(self, day: int) -> Scoreboard:
        """What Ox concludes that day: not every service is looked at anew every day."""
        now, said, scores = self.clock.now, {}, []
        for number in range(1, SERVICES + 1):
            if number not in self.seen or day >= CALM or self.dice.random() < 0.9:
                self.seen[number] = now
                fresh = True
            else:
                fresh = False
            ref, results = service(number), []
            for check in CHECKS:
                state = self._state(day, number, check, fresh)
                if fresh:
                    said[ref, check] = state
                results.append(result(ref, check, state, self.seen[number]))
            if number in self.left_out:
                continue
            scores.append(score(ref, results, now, tier=number % 4 + 1))
        self.told.append(said)
        return board(now, scores, teams=TEAMS)

    def facts(self, day: int) -> dict[Ref, dict[str, Reading]]:
        """What Snyk says, where and when it answers."""
        found: dict[Ref, dict[str, Reading]] = {}
        now = self.clock.now
        for number in range(1, SERVICES + 1):
            if day in COLLECTOR_DOWN or (day < CALM and self.fate.random() < 0.1):
                continue
            listed = {
                key: {"title": key, "since": since.isoformat()}
                for (owner, key), since in self.criticals.items()
                if owner == number
            }
            fact = Fact(CRITICALS, listed, now, "https://snyk.example")
            found[service(number)] = {
                SNYK.id: Reading(service(number), SNYK.id, SNYK.version, now, (fact,))
            }
        return found

    def _state(self, day: int, number: int, check: str, fresh: bool) -> CheckState:
        if not fresh or (day in COLLECTOR_DOWN and check == "ci"):
            return CheckState.UNKNOWN if fresh else CheckState.STALE
        if day in CHECK_WRONG and check == "protected":
            return CheckState.FAIL
        if day < CALM and self.dice.random() < 0.02:
            return CheckState.UNKNOWN
        passes = self.passing[number, check]
        if passes:
            self.ever_passed.add((number, check))
        return CheckState.PASS if passes else CheckState.FAIL


def annoy(tale: Story, dice: random.Random, day: int) -> None:
    """What people do with our issues on one day."""
    world = tale.world
    ours = [t for t in world.issues if read_marker(t.description) and t.project_id not in CLOSED]
    for thing in [t for t in ours if t.state == "opened" and dice.random() < 0.03]:
        world.issues.close(thing.project_id, thing.iid)
    for thing in [t for t in ours if dice.random() < 0.004]:
        world.issues.label(thing.project_id, thing.iid, "ox::waived")
    for thing in [t for t in ours if dice.random() < 0.004]:
        edited = f"My own words.\n\n{thing.description}"
        world.issues.edit(thing.project_id, thing.iid, description=edited)
    for thing in [t for t in ours if dice.random() < 0.002]:
        world.issues.edit(thing.project_id, thing.iid, description="All of it is mine now.")
    for thing in [t for t in ours if t.state == "closed" and dice.random() < 0.002]:
        world.issues.reopen(thing.project_id, thing.iid)
    for thing in [t for t in ours if t.state == "opened" and dice.random() < 0.05]:
        ticked = thing.description.replace("- [ ]", "- [x]", 1)
        noted = ticked.replace("\nThe list follows", f"\n{NOTE}\n\nThe list follows")
        world.issues.edit(thing.project_id, thing.iid, description=noted)
    for thing in [t for t in ours if dice.random() < 0.005]:
        world.issues.unlabel(thing.project_id, thing.iid, "ox")
    if day % 13 == 5 and ours:
        thing = dice.choice(ours)
        world.issues.delete(thing.project_id, thing.iid)
        tale.deleted[thing.project_id, thing.iid] = world.clock()


def trouble(dice: random.Random, day: int) -> FaultPlan:
    """What is wrong with GitLab on one day."""
    kinds = [
        (),
        (FaultRule(Fault.UNAVAILABLE, "rest-list", first_n=1),),
        (FaultRule(Fault.CUT_SHORT, "rest-list", skip=dice.randint(0, 1), first_n=1),),
        (FaultRule(Fault.LOST_PAGE, "rest-list", first_n=1),),
        (FaultRule(Fault.LOST_ANSWER, "rest-write", rate=0.3),),
        (FaultRule(Fault.SERVER_ERROR, "rest-write", rate=0.3),),
        (FaultRule(Fault.RATE_LIMITED, "rest-write", skip=5, first_n=1),),
        (FaultRule(Fault.TRUNCATED, "rest-list", first_n=1),),
    ]
    return FaultPlan(kinds[day % len(kinds)] if day < CALM else (), seed=day)


@dataclass
class Story:
    """Everything that happened, for the judge."""

    world: World
    fleet: Fleet
    days: list[datetime] = field(default_factory=list)
    bots: list[SandboxUser] = field(default_factory=lambda: [BOT])
    closed: dict[int, datetime] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    crashes: int = 0
    turned_away: int = 0
    failed_listings: int = 0
    paused: Counter[str] = field(default_factory=Counter)
    deleted: dict[tuple[int, int], datetime] = field(default_factory=dict)
    cases: Mapping[IssueKey, Case] = field(default_factory=dict)
    untold: int = 0
    told: list[tuple[datetime, str]] = field(default_factory=list)
    notices: Sequence[Delivery] = ()


@pytest.fixture(scope="module")
def story() -> Story:
    return simulated()


def simulated(seed: int = 21) -> Story:
    """The story of one seed: of what people and GitLab do, and of nothing else."""
    # In memory where there is such a place: half of the time were a disk's answers to commits.
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        return asyncio.run(tell(Path(folder), seed))


async def tell(folder: Path, seed: int = 21) -> Story:
    clock, dice = HandClock(), random.Random(seed)
    world = World(clock)
    for number in range(1, SERVICES + 1):
        world.add_project(f"corp/service-{number}", id=number)
    world.projects[-1].issues_enabled = False
    fleet = Fleet(random.Random(5), clock)
    fleet.start()
    tale = Story(world, fleet)
    sandbox = SandboxGitLab(world, scopes=("api",))
    places = {service(number): place(number) for number in range(1, SERVICES + 1)}
    replicas: list[Replica] = []
    async with running(sandbox) as url, receiving() as receiver:
        for day in range(DAYS):
            if day:
                fleet.live(day)
            sandbox.use_faults(trouble(dice, day))
            made = fleet.board(day)
            goals = [progress(made, clock.now)]
            today = Task(made, CHECKS, places, promised=promised(goals))
            sightings = Sightings(made, RUBRIC, fleet.facts(day), goals)
            receiver.statuses = [[], [500], [], [0], [502], []][day % 6] if day < CALM else []
            before = len(receiver.lines())
            if day in (ARCHIVED_ON, DOOMED_ON):
                close(tale, day)
            if day in ROTATED:
                await asyncio.gather(*(one.stop() for one in replicas))
                replicas = []
                rotate(tale, sandbox, revoked=ROTATED[day])
            if not replicas or day % RESTART == 0 or any(one.died for one in replicas):
                await asyncio.gather(*(one.stop() for one in replicas))
                there = (folder, Where(url, sandbox.token, receiver.url))
                replicas = [await Replica.start(tale, name, *there) for name in ("one", "two")]
            lives = 4 if day in CRASHES else -1
            await asyncio.gather(*(one.work(today, lives) for one in replicas))
            alive = [one for one in replicas if not one.died]
            await asyncio.gather(*(one.tell(sightings, UNTOLD.get(day)) for one in alive))
            tale.told += [(clock.now, line) for line in receiver.lines()[before:]]
            clock.advance(hours=12)
            if day < CALM:
                annoy(tale, dice, day)
            clock.advance(hours=12)
            tale.days.append(clock.now)
        tale.notices = await replicas[0].store.notices.latest("corp", 10_000)
        tale.cases = (await replicas[0].store.remediation.load("corp")).cases
        await asyncio.gather(*(one.stop() for one in replicas))
    return tale


def progress(made: Scoreboard, now: datetime) -> Progress:
    """An initiative that everybody has a README within the first month."""
    day = now.date()
    start = datetime(2026, 3, 1, tzinfo=UTC).date()
    due = start + timedelta(days=GOAL_DUE)
    goal = Initiative("readmes", "READMEs", "group:default/team-1", ("readme",), start, due)
    states = {r: {x.check: x.state for x in s.results} for r, s in made.scores.items()}
    left = [open_service(ref, goal.checks, states[ref]) for ref in concerned(goal, made, 3)]
    return Progress(goal, day, day, len(left), tuple(each for each in left if each))


def close(tale: Story, day: int) -> None:
    """A project is archived, or is to be deleted; from the next day on the crawl leaves it out."""
    if day == ARCHIVED_ON:
        tale.world.archive(ARCHIVED)
        number = ARCHIVED
    else:
        tale.world.rename(DOOMED, f"service-{DOOMED}-deletion_scheduled-{DOOMED}")
        number = DOOMED
    tale.closed[number] = tale.world.clock()
    tale.fleet.left_out.add(number)


def rotate(tale: Story, sandbox: SandboxGitLab, *, revoked: bool) -> None:
    before = sandbox.session.user
    count = len(tale.bots) + 1
    tale.bots.append(sandbox.rotate(f"token-{count}", f"project_1_bot_{count}"))
    if revoked:
        tale.world.people.remove(before, tale.world.issues)


@dataclass(frozen=True)
class Where:
    """Whom a replica talks to."""

    gitlab: str
    token: str
    webhook: str


@dataclass
class Replica:
    """One of the processes; it is restarted every few days, and when it died."""

    tale: Story
    name: str
    store: SqlStore
    issues: GitLabIssues
    rules: Rules
    webhook: Webhook
    died: bool = False

    @classmethod
    async def start(cls, tale: Story, name: str, folder: Path, where: Where) -> Replica:
        rules = Rules(
            policy=lambda place: Policy("", True, PER_SERVICE, PER_RUN),
            drafts=drafts(),
            habits=SnoozePolicy(SNOOZE),
        )
        store = await open_store(f"sqlite:///{folder}/store.db")
        issues = GitLabIssues(where.gitlab, where.token, label="ox", threads=1)
        return cls(tale, name, store, issues, rules, Webhook(where.webhook))

    async def work(self, task: Task, lives: int) -> None:
        tracker = Mortal(self.issues, lives)
        remediation, lease, clock = self.store.remediation, self.store.lease, self.tale.world.clock
        remediator = Remediator(
            RemediatedSource("corp", remediation, lease, tracker, self.rules, self.name, clock)
        )
        try:
            run = await remediator.run(task)
        except Crash:
            self.tale.crashes += 1
            self.died = True
            return
        if run is None:
            self.tale.turned_away += 1
        else:
            self.tale.failed_listings += bool(run.listing_failure)
            self.tale.paused.update(pause.check for pause in run.pauses)
            self.tale.skipped.update(
                record.detail for record in run.records if record.outcome is ActionOutcome.SKIPPED
            )

    async def tell(self, sightings: Sightings, dies: bool | None) -> None:
        channel = MortalChannel(self.webhook, dies)
        clock = self.tale.world.clock
        try:
            await Notifier("corp", self.store.notices, [channel], clock).run(sightings)
        except Crash:
            self.tale.untold += 1
            self.died = True

    async def stop(self) -> None:
        await self.issues.close()
        await self.store.close()


def by_us(tale: Story, *what: str) -> Iterator[Happened]:
    return (e for e in tale.world.issues.events if e.by in tale.bots and e.what in what)


def made(tale: Story) -> dict[tuple[int, str], list[Happened]]:
    """Every issue that we made, by the project and the marker's key."""
    found: dict[tuple[int, str], list[Happened]] = defaultdict(list)
    for event in by_us(tale, "created"):
        marker = read_marker(event.text)
        assert marker is not None
        found[event.thing.project_id, marker[0]].append(event)
    return found


def test_what_was_to_go_wrong_did(story: Story) -> None:
    """The simulation is worth something only if its troubles took place."""
    assert story.crashes >= 3
    assert story.turned_away >= DAYS // 2
    assert story.failed_listings >= 8
    assert story.paused["protected"] >= len(CHECK_WRONG) - 1
    people = Counter(e.what for e in story.world.issues.events if e.by not in story.bots)
    assert people["closed"] >= 20
    assert people["labelled"] >= 10
    assert people["reopened"] >= 1
    assert people["edited"] >= 100
    made_by = Counter(e.by for e in by_us(story, "created"))
    assert len(story.bots) == 3
    assert all(made_by[bot] >= 5 for bot in story.bots)
    assert all(any(t.project_id == n for t in story.world.issues) for n in CLOSED)


def about(tale: Story, words: str) -> dict[tuple[str, ...], list[datetime]]:
    """When notices with these words came, by what they are about."""
    found: dict[tuple[str, ...], list[datetime]] = defaultdict(list)
    for at, line in tale.told:
        if matched := re.search(words, line):
            found[matched.groups()].append(at)
    return found


def test_no_notice_comes_twice(story: Story) -> None:
    """After kills between intent and write, lost answers, refusals, restarts, two replicas."""
    assert story.untold >= len(UNTOLD)
    new = about(story, r"a new critical vulnerability: (CVE-\d+)")
    late = about(story, r"critical for more than 30 days: (CVE-\d+)")
    goal = about(story, r"READMEs is due on .*open: (component:\S+)")
    assert min(len(new), len(late), len(goal)) >= 5
    for found in (new, late):
        assert {key: at for key, at in found.items() if len(at) > 1} == {}
    assert sum(map(len, goal.values())) <= TEAMS


def test_a_gate_is_told_again_only_after_it_passed_and_a_week_was_over(story: Story) -> None:
    broke = about(story, r"service-(\d+): a gate broke: Has (\w+)")
    assert len(broke) >= 20
    again = 0
    for (number, check), days in broke.items():
        for earlier, later in pairwise(days):
            assert later - earlier >= timedelta(days=7)
            states = [
                said.get((service(int(number)), check))
                for at, said in zip(story.days, story.fleet.told, strict=True)
                if earlier < at <= later
            ]
            assert CheckState.PASS in states
            again += 1
    assert again


def test_owners_hear_of_every_new_critical(story: Story) -> None:
    """But of those that nobody knows whether they arrived; these are kept as such."""
    new = about(story, r"a new critical vulnerability: (CVE-\d+)")
    kept = Counter(each.state for each in story.notices)
    unsure = [each for each in story.notices if each.state is DeliveryState.UNSURE]
    assert 0 < len(unsure) < 60
    assert kept.keys() <= {DeliveryState.SENT, DeliveryState.UNSURE, DeliveryState.OVER}
    doubtful = " ".join(each.notice.text for each in unsure)
    alive = {key for _, key in story.fleet.criticals}
    seen = [k for k, day in story.fleet.came.items() if 1 <= day < CALM - 5 and k in alive]
    assert len(seen) >= 10
    assert [k for k in seen if (k,) not in new and f"{k} " not in doubtful] == []


def test_a_check_that_fails_everywhere_is_told_to_nobody(story: Story) -> None:
    first, last = story.days[CHECK_WRONG[0]], story.days[CHECK_WRONG[-1]]
    wrong = about(story, r"(service-\d+): a gate broke: Has protected")
    assert not [at for days in wrong.values() for at in days if first <= at < last]


def test_closed_projects_are_left_alone_and_stop_nobody(story: Story) -> None:
    """Nothing is written there from that hour on, and what would have been is told."""
    touched = [
        event
        for event in story.world.issues.events
        if event.thing.project_id in CLOSED and event.at >= story.closed[event.thing.project_id]
    ]
    assert touched == []
    assert [e for e in by_us(story, "created") if e.at > story.closed[DOOMED]]
    assert any("archived" in reason for reason in story.skipped)
    assert any("scheduled for deletion" in reason for reason in story.skipped)


def test_peoples_notes_in_our_lists_stay(story: Story) -> None:
    """What a person wrote between our lines is there after every edit of ours."""
    noted: set[int] = set()
    kept = 0
    for event in story.world.issues.events:
        if event.by not in story.bots and event.what == "edited":
            (noted.add if NOTE in event.text else noted.discard)(event.thing.id)
        elif event.what == "edited" and event.thing.id in noted:
            assert NOTE in event.text
            kept += 1
    assert kept >= 5


def test_none_is_there_twice(story: Story) -> None:
    """One key, one issue; another one only after a person deleted the first, and then late."""
    for (project_id, _), events in made(story).items():
        for earlier, later in pairwise(events):
            assert story.world.issues.find(project_id, earlier.thing.iid) is None
            gone = story.deleted[project_id, earlier.thing.iid]
            assert later.at - gone >= SNOOZE


def test_none_is_reopened_against_a_persons_will(story: Story) -> None:
    """What a person closed stays closed for 30 days, and until it passed and failed again."""
    closed: dict[int, Happened] = {}
    reopened = 0
    for event in story.world.issues.events:
        if event.what == "closed":
            closed[event.thing.id] = event
        if event.what == "reopened" and event.by in story.bots:
            last = closed[event.thing.id]
            if last.by not in story.bots:
                reopened += 1
                assert event.at - last.at >= SNOOZE
                assert failed_anew(story, event, last.at)
    assert any(by_us(story, "reopened"))


def failed_anew(tale: Story, event: Happened, since: datetime) -> bool:
    """Whether some check of the issue passed twice and then failed twice after `since`."""
    marker = read_marker(event.text)
    ref = service(event.thing.project_id)
    names = [
        check
        for check in (*GATES, CHECKLIST)
        if marker is None or key_hash(IssueKey(event.thing.project_id, ref, check)) == marker[0]
    ]
    checks = [c for n in names for c in (CHECKS.keys() - set(GATES) if n == CHECKLIST else (n,))]
    for check in checks:
        states = [
            said[ref, check]
            for at, said in zip(tale.days, tale.fleet.told, strict=True)
            if at > since and (ref, check) in said
        ]
        known = "".join("PF"[s is CheckState.FAIL] for s in states if s.known)
        if re.search("PP.*FF", known):
            return True
    return False


def test_nobody_is_written_to(story: Story) -> None:
    """No comments, and nobody's name is mentioned."""
    assert not list(by_us(story, "commented"))
    assert not story.world.issues.told


def test_caps_hold(story: Story) -> None:
    """20 in a run, 3 open a service, at every moment."""
    runs = Counter(event.at for event in by_us(story, "created", "reopened"))
    assert max(runs.values()) == PER_RUN  # it was reached, so it is the cap that held
    opened: dict[int, set[int]] = defaultdict(set)
    for event in story.world.issues.events:
        of_project = opened[event.thing.project_id]
        if event.what in ("created", "reopened"):
            of_project.add(event.thing.id)
            assert event.by not in story.bots or len(of_project) <= PER_SERVICE
        elif event.what == "closed":
            of_project.discard(event.thing.id)


def test_a_doubtful_check_does_nothing(story: Story) -> None:
    """While a check fails everywhere, not one issue is opened or closed for it."""
    wrong = {
        key_hash(IssueKey(number, service(number), "protected")) for number in range(SERVICES + 1)
    }
    first, last = story.days[CHECK_WRONG[0]], story.days[CHECK_WRONG[-1]]
    for event in by_us(story, "created", "closed", "reopened"):
        if first - timedelta(days=1) <= event.at < last:
            assert (read_marker(event.text) or ("",))[0] not in wrong


def test_the_baseline_is_left_alone(story: Story) -> None:
    """What failed from the first day on and never passed has no issue of its own."""
    never = {
        (number, key_hash(IssueKey(number, service(number), check)))
        for number, check in story.fleet.baseline - story.fleet.ever_passed
        if check in GATES
    }
    assert never.isdisjoint(made(story))


def test_real_failures_are_opened_and_fixed_ones_closed(story: Story) -> None:
    """At the end, in calm weather, exactly what fails is open, apart from people's own wishes."""
    assert len(list(by_us(story, "created"))) >= 150
    assert len(list(by_us(story, "closed"))) >= 100
    cases = {case.key: case for case in story.cases.values()}
    assert not [case for case in cases.values() if case.status is CaseStatus.OPENING]
    for key, case in cases.items():
        thing = story.world.issues.find(key.project_id, case.iid)
        if key.project_id in CLOSED:
            continue
        failing = [
            check
            for check in ((key.check,) if key.check != CHECKLIST else CHECKS.keys() - set(GATES))
            if not story.fleet.passing[key.project_id, check]
        ]
        if thing is None or case.kept or case.status is CaseStatus.WAIVED:
            continue
        if not failing:
            assert thing.state == "closed", (key, case)
        if thing.state == "opened":
            assert set(case.checks) <= set(failing)
    for number in BROKEN:
        for check in ("owner", CHECKLIST):
            found = cases[IssueKey(number, service(number), check)]
            spoken = found.waived_until is not None  # a person's label on one that was closed
            wanted = (CaseStatus.OPENED, CaseStatus.SNOOZED, CaseStatus.WAIVED)
            assert found.status in wanted or spoken
    opened = [c for c in cases.values() if c.status is CaseStatus.OPENED and c.key.check == "owner"]
    assert len(opened) >= len(BROKEN) // 2
