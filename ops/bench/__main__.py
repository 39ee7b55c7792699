"""`make bench`: every figure in one run, as ratios where there is something to compare with."""

import statistics
import sys
import warnings

from ops.bench import drain, intake, pacing, putting


def main() -> None:
    """Run all benchmarks and print a line for each."""
    warnings.simplefilter("ignore")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3

    singles = [putting.single_rates() for _ in range(rounds)]
    ours = statistics.median(pair[0] for pair in singles)
    ratio = statistics.median(pair[0] / pair[1] for pair in singles)
    _line("single enqueue", f"{ours:.0f}/s, {ratio:.2f} x plain apply_async", "3.00 x")
    _line("bulk import", f"{putting.import_rate():.0f}/s", "10,000/s")
    _line("waiting job", f"{putting.bytes_per_job():.0f} bytes of Redis memory", "800 bytes")

    taken = [intake.single_rates() for _ in range(rounds)]
    ours = statistics.median(pair[0] for pair in taken)
    ratio = statistics.median(pair[0] / pair[1] for pair in taken)
    _line("HTTP intake", f"{ours:.0f}/s in one process, {ratio:.2f} x FastAPI with apply_async", "1,500/s")
    _line("HTTP batch", f"{intake.batch_rate():.0f} rows/s", "8,000/s")
    even = intake.at_an_even_rate()
    told = f"{even.p99_ms:.1f} ms p99, {even.median_ms:.1f} ms median with {intake.WAITING:,} waiting"
    _line(f"HTTP at {intake.EVEN_RATE:.0f}/s", told, "50 ms p99")

    pairs = [
        (drain.outdial_rate(), drain.plain_rate(events=False), drain.plain_rate(events=True))
        for _ in range(rounds)
    ]
    ours = statistics.median(pair[0] for pair in pairs)
    silent = statistics.median(pair[0] / pair[1] for pair in pairs)
    seen = statistics.median(pair[0] / pair[2] for pair in pairs)
    _line("drained jobs", f"{ours:.0f}/s, {silent:.2f} x plain Celery that stores results", "1.00 x")
    _line("", f"{seen:.2f} x plain Celery that stores results and sends events", "")

    claims, posts, used = pacing.limit()
    told = f"{claims} claims and {posts} POSTs at most in a sliding second, {used:.1%} used"
    _line(f"limit of {pacing.RATE}/s", told, f"{pacing.RATE}, {pacing.RATE + 1}, 97%")
    _line("idle to POST", f"{pacing.idle_to_post_ms():.1f} ms median", "25 ms")


def _line(what: str, measured: str, aim: str) -> None:
    print(f"{what:16} {measured:72} {'aim ' + aim if aim else ''}", flush=True)


if __name__ == "__main__":
    main()
