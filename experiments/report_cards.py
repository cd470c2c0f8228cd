"""A cluster's card and a row's entry in the report, for images, texts and plain vectors."""

from html import escape

from experiments.svg import counted, shorten

NAME, BRIEF = 48, 24  # letters of a name that stand in a heading, and elsewhere; all of them under the pointer


def card(one, seed):
    """HTML of one cluster.

    Parameters
    ----------
    one : dict
        An entry of ``exhibits["clusters"]``.
    seed : experiments.report.Seed

    Returns
    -------
    html : str
    """
    name, share = _name(seed.cluster_names[one["cluster"]], NAME), 100 * one["sure"] / one["rows"]
    body, sure = [f'<div class="head"><h3>Cluster {name}</h3><span>{counted(one["rows"], "row")}</span></div>'], ""
    if seed.tells_sure:
        body.append(f'<div class="meter" title="{share:.1f} % sure"><i style="width:{share:.1f}%"></i></div>')
        sure = f"{share:.0f} % sure, "
    body.append(f'<p class="small">{sure}mean confidence {100 * one["confidence"]:.0f} %{_classes(one, seed)}</p>')
    if "images" in one:
        body.append(image_grid("".join(_image(shown["image"], f"row {shown['row']}") for shown in one["images"]), seed))
    if one.get("words"):
        body.append("<p>" + "".join(_chip(escape(word)) for word, _ in one["words"]) + "</p>")
    if "columns" in one:
        body.append(_columns(one["columns"]))
    body += [_quote(shown["text"], f"row {shown['row']}") for shown in one.get("texts", ())]
    if one["rivals"]:
        rivals = (_chip(f"{_name(seed.cluster_names[c])}: {100 * mean:.1f} %") for c, mean in one["rivals"])
        body.append(f'<p class="small">Rivals {"".join(rivals)}</p>')
    return f'<div class="card">{"".join(body)}{_doubtful(one["doubtful"], seed)}</div>'


def item(row, seed):
    """HTML of one image or text, and the two clusters it hovers between.

    Parameters
    ----------
    row : dict
        An entry of ``exhibits["doubtful"]``.
    seed : experiments.report.Seed

    Returns
    -------
    html : str
    """
    length = BRIEF if "text" in row else 200  # an image's words are under the pointer, where there is room
    names = [shorten(seed.cluster_names[c], length) for c, _ in row["clusters"]]
    shares = ", ".join(f"{name}: {100 * share:.1f} %" for name, (_, share) in zip(names, row["clusters"], strict=True))
    known = f"; class {shorten(seed.exhibits['classes'][row['class']], length)}" if "class" in row else ""
    name = row.get("file", f"row {row['row']}")
    if "text" in row:
        return _quote(row["text"], f"{name}; {shares}{known}")
    between = " or ".join(str(cluster) for cluster, _ in row["clusters"])
    picture = _image(row["image"], f"{name}; {shares}{known}")
    return f"<figure>{picture}<figcaption>{between}</figcaption></figure>"


def image_grid(images, seed, style=""):
    """Images side by side, as many as fit."""
    photos = " photos" if seed.exhibits["photos"] else ""
    return f'<div class="images {style}{photos}">{images}</div>'


def _doubtful(rows, seed):
    kind = seed.exhibits["kind"]
    if seed.exhibits["n_clusters"] == 1:  # between what?
        return ""
    if kind == "vectors":
        return f'<p class="small">Most doubtful rows: {", ".join(str(row["row"]) for row in rows)}</p>'
    shown = "".join(item(row, seed) for row in (rows if kind == "images" else rows[:2]))
    return f'<p class="small">Most doubtful</p>{image_grid(shown, seed) if kind == "images" else shown}'


def _classes(one, seed):
    """The most frequent true classes of the cluster's rows."""
    if "counts" not in seed.exhibits:
        return ""
    counts, names = seed.exhibits["counts"][one["cluster"]], seed.exhibits["classes"]
    best = sorted(range(len(counts)), key=lambda k: -counts[k])[:3]
    shares = [f"{_name(names[k])}: {100 * counts[k] / one['rows']:.0f} %" for k in best if counts[k]]
    return f"<br>Classes: {', '.join(shares)}"


def _image(source, hint):
    return f'<img src="{source}" alt="{escape(hint)}" title="{escape(hint)}" loading="lazy">'


def _quote(text, where):
    return f'<p class="quote">{escape(text) or "(empty)"} <span class="note">({escape(where)})</span></p>'


def _chip(inside):
    return f'<span class="chip">{inside}</span>'


def _name(name, length=BRIEF):
    """A name, escaped; a long one is cut short, and whole under the pointer."""
    short = escape(shorten(name, length))
    return short if len(name) <= length else f'<span title="{escape(name)}">{short}</span>'


def _columns(columns):
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{away:+.2f}</td></tr>" for name, away in columns)
    head = '<p class="small">Columns farthest from the mean of all rows, in standard deviations</p>'
    return f'{head}<table class="columns">{rows}</table>'
