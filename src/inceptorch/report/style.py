"""What report.html adds to the style of all pages: cards, charts and tables, on a telephone and on paper."""

STYLE = """
header p, .legend { color: var(--soft) }
pre { background: color-mix(in srgb, var(--ink) 6%, transparent); padding: 10px; border-radius: 6px; white-space: pre-wrap;
  overflow-wrap: anywhere }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 10px; margin: 14px 0 }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 10px; display: flex; flex-direction: column }
.card b { font-size: 1.5em; line-height: 1.2 }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); gap: 16px }
figure { max-width: 480px }
svg { width: 100%; height: auto; font-size: 11px; fill: var(--soft) }
.grid { stroke: var(--line) }
.line { fill: none; stroke-width: 2; stroke: currentColor }
.mark { fill: currentColor }
.training { color: var(--blue) } .validation { color: var(--orange) }
.legend { margin: 0 } .key { margin-right: 1em } .key::before { content: "\\2014  "; font-weight: bold }
.bar { fill: var(--blue); opacity: .75 } .diagonal { fill: none; stroke: var(--orange); stroke-width: 1.5; stroke-dasharray: 5 4 }
.wide { overflow-x: auto } li { overflow-wrap: anywhere }
table { font-size: .93em }
th, td { padding: 3px 10px 3px 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: middle }
th { font-weight: 500 } th:first-child { min-width: 7em } .facts th { white-space: nowrap; vertical-align: top } .facts td { overflow-wrap: anywhere }
.range { position: relative; display: block; width: 150px; height: 12px }
.range i { position: absolute; top: 4px; height: 4px; background: color-mix(in srgb, var(--blue) 35%, transparent); border-radius: 2px }
.range b { position: absolute; top: 1px; width: 3px; height: 10px; margin-left: -1px; background: var(--blue) }
.matrix td { text-align: center; padding: 2px 5px; min-width: 28px; border: 1px solid var(--line) }
.matrix .hit { background: color-mix(in srgb, var(--blue) calc(var(--s) * 60%), transparent) }
.matrix .miss { background: color-mix(in srgb, var(--orange) calc(var(--s) * 160%), transparent) }
.matrix .up { vertical-align: bottom; padding: 2px; border: 0 } .up span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 160px }
.map { width: min(100%, 500px); image-rendering: pixelated; border: 1px solid var(--line) }
@media (prefers-color-scheme: dark) { .map { filter: invert(1) } }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 210px), 1fr)); gap: 14px }
.mistake { break-inside: avoid } .mistake div { display: flex; gap: 4px }
.mistake img { width: calc(50% - 2px); border-radius: 4px; object-fit: contain; image-rendering: auto }
.mistake small { display: block; overflow-wrap: anywhere; font-size: .75em }
@media print { body { font-size: 11px } section { break-inside: auto } pre { border: 1px solid var(--line) } }
"""
