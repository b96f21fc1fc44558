"""The page's own alignment of steps and lines, run where it runs: in the browser."""

from __future__ import annotations

from pathlib import Path

from report_pages import Watched, coding_pairs, shown

from contextrl_data.stages.report import Overview, write_report

Messages = list[dict[str, str]]


def run(*steps: tuple[str, str]) -> Messages:
    """A trajectory of commands and what they printed."""
    found = [{"role": "user", "content": "Mend it."}]
    for command, output in steps:
        found.append({"role": "assistant", "content": f"THOUGHT: run {command}.\n\n```bash\n{command}\n```"})
        found.append({"role": "user", "content": f"<returncode>0</returncode>\n<output>\n{output}\n</output>"})
    return found


def show(tmp_path: Path, watched: Watched, a: Messages, b: Messages) -> None:
    row = {**coding_pairs(1)[0], "correct_first": True, "correct_option": "A", "context_pos": a, "context_neg": b}
    write_report(tmp_path / "report.html", [row], Overview("Pairs"))
    shown(watched.open(tmp_path / "report.html", "#pairs"), "1 of 1")


def test_steps_are_aligned_over_a_gap_and_equal_ones_fold(tmp_path: Path, watched: Watched) -> None:
    start = [("ls src", "a.py"), ("cat src/a.py", "def a(): pass")]
    a = run(*start, ("grep -rn total_of_orders src", "src/a.py:1"), ("python -m pytest tests/test_a.py", "1 passed"))
    b = run(*start, ("python -m pytest tests/test_a.py", "2 passed"))
    show(tmp_path, watched, a, b)
    page = watched.page
    assert page.locator("#pair summary", has_text="the same in both").all_inner_texts() == [
        "Task: the same in both",
        "Steps 1–2: the same in both",
    ]
    cells = page.locator(".step").all_inner_texts()
    assert [text.split("\n")[0] for text in cells] == ["Step 3", "no such step on this side", "Step 4", "Step 3"]
    assert "2 places where the runs differ, 2 stretches the same." in page.inner_text(".legend")
    assert page.locator(".tick").count() == 4
    page.get_by_text("Steps 1–2: the same in both").click()
    page.get_by_text("def a(): pass").wait_for()


def test_only_the_lines_and_words_that_differ_are_marked(tmp_path: Path, watched: Watched) -> None:
    a = run(("cat a.py", "one\ntwo = compute(left)\nthree\nfour"))
    b = run(("cat a.py", "one\ntwo = compute(right)\nthree\nextra\nfour"))
    show(tmp_path, watched, a, b)
    left, right = watched.page.locator(".step").all()
    assert left.locator(".only").all_inner_texts() == ["two = compute(left)"]
    assert right.locator(".only").all_inner_texts() == ["two = compute(right)", "extra"]
    assert (left.locator("em").inner_text(), right.locator("em").inner_text()) == ("left", "right")


def test_a_line_that_moved_is_marked_though_the_other_side_has_it_too(tmp_path: Path, watched: Watched) -> None:
    a, b = run(("cat a.py", "b\na\nc\nd")), run(("cat a.py", "a\nc\nb\nd"))
    show(tmp_path, watched, a, b)
    left, right = watched.page.locator(".step").all()
    assert left.locator(".only").all_inner_texts() == ["b"]
    assert right.locator(".only").all_inner_texts() == ["b"]


def test_a_long_block_opens_on_demand_and_says_what_is_hidden(tmp_path: Path, watched: Watched) -> None:
    lines = [f"line {number}" for number in range(60)]
    a, b = run(("cat a.py", "\n".join(lines))), run(("cat a.py", "\n".join([*lines, "one more"])))
    show(tmp_path, watched, a, b)
    page = watched.page
    buttons = page.get_by_role("button", name="Show 4")
    assert buttons.all_inner_texts() == ["Show 42 more lines", "Show 43 more lines, 1 of them only here"]
    assert page.get_by_text("line 59").count() == 0
    buttons.nth(1).click()
    assert page.locator(".step").nth(1).locator(".only").all_inner_texts() == ["one more"]


def test_the_marks_are_right_for_any_lines(tmp_path: Path, watched: Watched) -> None:
    """Lines without a mark are a common subsequence; they stand in the same order on both sides."""
    show(tmp_path, watched, run(), run())
    for seed in range(60):
        found = watched.page.evaluate(
            """seed => {
                let state = seed * 7919 + 1;
                const next = (n) => (state = (state * 48271) % 2147483647) % n;
                const lines = () => Array.from({ length: next(12) }, () => "abcd"[next(4)] + " ".repeat(next(2)));
                const a = lines(), b = lines(), marks = diffLines(a, b);
                const same = (list, marks) => list.filter((_, n) => marks[n] === null);
                return [same(a, marks.a), same(b, marks.b), a, b, marks.a.length, marks.b.length];
            }""",
            seed,
        )
        same_a, same_b, a, b, marked_a, marked_b = found
        assert same_a == same_b
        assert (marked_a, marked_b) == (len(a), len(b))
        assert len(same_a) == longest_common(a, b)


def longest_common(a: list[str], b: list[str]) -> int:
    """Length of the longest common subsequence, by the book."""
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            best[i + 1][j + 1] = best[i][j] + 1 if x == y else max(best[i][j + 1], best[i + 1][j])
    return best[-1][-1]


def test_n_and_p_go_from_difference_to_difference(tmp_path: Path, watched: Watched) -> None:
    steps = [(f"cat file_{number}.py", "\n".join(f"{number} {n}" for n in range(16))) for number in range(8)]
    other = [(command, output + "\nmore") for command, output in steps]
    show(tmp_path, watched, run(*steps), run(*other))
    page = watched.page
    places = [page.evaluate("document.getElementById('pair').scrollTop")]
    for key in "nnpp":
        page.keyboard.press(key)
        places.append(page.evaluate("document.getElementById('pair').scrollTop"))
    assert places[0] < places[1] < places[2]
    assert places[3] == places[1]
    assert places[4] <= places[3]


def test_runs_of_hundreds_of_steps_are_shown(tmp_path: Path, watched: Watched) -> None:
    steps = [(f"echo {number}", str(number)) for number in range(300)]
    show(tmp_path, watched, run(*steps), run(("echo first", "x"), *steps[1:250]))
    assert watched.page.locator(".step").count() > 0
