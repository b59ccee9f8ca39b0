"""Other people's files that we ship: plotly.js, which draws in the tab and in the report.

Licence (MIT) in `plotly-LICENSE.txt`. From the npm package `plotly.js-cartesian-dist-min`, the file unchanged. To take a
newer one: `npm pack plotly.js-cartesian-dist-min`, copy the two files, and put version and checksum here.
"""

from __future__ import annotations

from pathlib import Path

VERSION = "4.1.1"
SHA256 = "79542150855a52c567260e3137095dbe2b744e6d702a5cabe67da246942fba7a"

PLOTLY = Path(__file__).parent / "plotly-cartesian.min.js"
"""The bundle for cartesian axes; sets `window.Plotly`."""
