"""`make bench`: every figure in one run, as ratios where there is something to compare with."""

import statistics
import sys
import warnings

from ops.bench import drain, pacing, putting


def main() -> None:
    """Run all benchmarks and print a line for each."""
    warnings.simplefilter("ignore")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3

    ours, plain = putting.single_rates()
    print(
        f"single enqueue         {ours:8.0f}/s   {ours / plain:5.2f} x plain apply_async ({plain:.0f}/s)   aim 3.00 x"
    )
    print(
        f"bulk import            {putting.import_rate():8.0f}/s                                        aim 10,000/s"
    )
    print(
        f"waiting job            {putting.bytes_per_job():8.0f} bytes                                     aim 800 bytes"
    )

    pairs = [
        (drain.outdial_rate(), drain.plain_rate(events=False), drain.plain_rate(events=True))
        for _ in range(rounds)
    ]
    ours = statistics.median(pair[0] for pair in pairs)
    silent = statistics.median(pair[0] / pair[1] for pair in pairs)
    seen = statistics.median(pair[0] / pair[2] for pair in pairs)
    print(
        f"drained jobs           {ours:8.0f}/s   {silent:5.2f} x plain Celery with results              aim 1.00 x"
    )
    print(f"                                  {seen:5.2f} x plain Celery with results and events")

    claims, posts, used = pacing.limit()
    print(
        f"limit of {pacing.RATE}/s kept      {claims} claims, {posts} POSTs at most in a sliding second, "
        f"{used:.1%} used   aim {pacing.RATE}, {pacing.RATE + 1}, 97%"
    )
    print(
        f"idle to POST           {pacing.idle_to_post_ms():8.1f} ms median                                 aim 25 ms"
    )


if __name__ == "__main__":
    main()
