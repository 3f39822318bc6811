"""How a report looks: one HTML page with its style sheet, light and dark, no resources from elsewhere."""

from __future__ import annotations

from visagist.boundary.ownership import GENERATOR

STYLE = """
:root{color-scheme:light dark;--paper:#fbfaf7;--card:#fff;--ink:#1d2226;--soft:#5c666e;--line:#e2dfd8;--accent:#0f6b66;
--warm:#b4541a;--band:.14;--bar:#cfe3e0}
@media (prefers-color-scheme:dark){:root{--paper:#14181b;--card:#1c2226;--ink:#e9ecee;--soft:#9aa6ae;--line:#2e373d;
--accent:#58c4bb;--warm:#e59a5f;--band:.22;--bar:#24504d}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1rem 4rem}
h1{font-size:1.9rem;line-height:1.15;margin:.1rem 0 .4rem;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:2.8rem 0 .6rem;letter-spacing:-.01em}
h3{font-size:1rem;margin:1.6rem 0 .5rem}
p{margin:.3rem 0 .8rem;max-width:44rem}
.soft,caption,figcaption{color:var(--soft);font-size:.875rem}
.over{color:var(--accent);font-weight:600;font-size:.8rem;letter-spacing:.06em;text-transform:uppercase;margin:0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:.75rem;margin:1.2rem 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.8rem .9rem}
.tile b{display:block;font-size:1.7rem;line-height:1.15;font-variant-numeric:tabular-nums;letter-spacing:-.02em}
.tile span{display:block;font-size:.85rem;line-height:1.35}
.tile .soft{font-size:.78rem;margin-top:.15rem}
.wide{overflow-x:auto;-webkit-overflow-scrolling:touch;margin:.5rem 0 1rem;border:1px solid var(--line);border-radius:.6rem;
background:var(--card)}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.45rem .7rem;text-align:right;border-bottom:1px solid var(--line);vertical-align:top;white-space:nowrap}
th:first-child,td:first-child{text-align:left;white-space:normal;min-width:9rem}
thead th{font-weight:600;color:var(--soft);font-size:.8rem;vertical-align:bottom}
tbody tr:last-child th,tbody tr:last-child td{border-bottom:0}
tbody th{font-weight:500}
.many thead th{white-space:normal;min-width:6.5rem}
td small{display:block;color:var(--soft);font-size:.75rem}
table.faces{width:auto;margin:0 auto}
.faces th,.faces td{padding:.25rem .2rem;text-align:center;border:0;min-width:0}
.faces thead th{padding-top:.6rem;font-size:.72rem;white-space:normal;max-width:7rem;overflow-wrap:anywhere}
th[scope=colgroup]{text-align:center}
.faces th:first-child,.faces td:first-child{padding-left:.6rem;min-width:0}
.faces td:last-child{padding-right:.6rem}
.faces .first th,.faces .first td{padding-top:.7rem}
.faces img{display:block;margin:0 auto;width:5.4rem;height:5.4rem;border-radius:.3rem}
.faces tbody th{font-size:.75rem;color:var(--soft);text-align:left;vertical-align:middle;max-width:5rem;white-space:normal}
.faces small{display:block;font-size:.72rem;color:var(--soft);line-height:1.4}
figure{margin:.5rem 0 1rem}
svg{display:block;width:100%;max-width:36rem;height:auto;
background:var(--card);border:1px solid var(--line);border-radius:.6rem}
svg text{fill:var(--soft);font:11px system-ui,sans-serif}
.grid{stroke:var(--line);stroke-width:1}
.line{fill:none;stroke-width:2;stroke-linejoin:round}
.all{stroke:var(--ink)}.with{stroke:var(--accent)}.without{stroke:var(--warm)}
.band.all{fill:var(--ink)}.band.with{fill:var(--accent)}.band.without{fill:var(--warm)}
.band{stroke:none;opacity:var(--band)}
svg text.with{fill:var(--accent);stroke:none}svg text.without{fill:var(--warm);stroke:none}
svg text.all{fill:var(--ink);stroke:none}
dl{display:grid;grid-template-columns:minmax(7rem,auto) 1fr;gap:.3rem 1rem;font-size:.9rem;margin:.5rem 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
ul{padding-left:1.1rem;font-size:.9rem}
li{overflow-wrap:anywhere}
code{font:.85em ui-monospace,Menlo,Consolas,monospace}
pre{overflow:auto;max-height:26rem;padding:.9rem;font:.75rem/1.45 ui-monospace,Menlo,Consolas,monospace;
background:var(--card);
border:1px solid var(--line);border-radius:.6rem}
summary{cursor:pointer;color:var(--accent);font-weight:500}
details{margin:.5rem 0}
@media (max-width:40rem){main{padding:1.2rem .8rem 3rem}h1{font-size:1.5rem}.tile b{font-size:1.4rem}
.tiles{grid-template-columns:1fr 1fr;gap:.5rem}.faces img{width:4.4rem;height:4.4rem}
dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}}
"""


def html_page(title: str, body: str, more_style: str = "") -> str:
    """A whole page; title and body are HTML already."""
    return (
        f'<!doctype html>\n<html lang=en><head><meta charset=utf-8>{GENERATOR}<meta name=viewport '
        f'content="width=device-width, initial-scale=1"><title>{title}</title><style>{STYLE}{more_style}</style></head>'
        f"<body><main>{body}</main></body></html>\n"
    )
