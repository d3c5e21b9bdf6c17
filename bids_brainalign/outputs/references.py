"""Bibliography of what a run can use, as BibTeX."""

from __future__ import annotations

from collections.abc import Iterable

from bids_brainalign import __version__

_ARTICLES: dict[str, tuple[str, dict[str, str]]] = {
    "gorgolewski2016": (
        "article",
        {
            "author": "Gorgolewski, Krzysztof J. and others",
            "title": "The brain imaging data structure, a format for organizing and describing "
            "outputs of neuroimaging experiments",
            "journal": "Scientific Data",
            "volume": "3",
            "pages": "160044",
            "year": "2016",
            "doi": "10.1038/sdata.2016.44",
        },
    ),
    "holdgraf2019": (
        "article",
        {
            "author": "Holdgraf, Chris and others",
            "title": "{iEEG-BIDS}, extending the Brain Imaging Data Structure specification to "
            "human intracranial electrophysiology",
            "journal": "Scientific Data",
            "volume": "6",
            "pages": "102",
            "year": "2019",
            "doi": "10.1038/s41597-019-0105-7",
        },
    ),
    "radford2023": (
        "inproceedings",
        {
            "author": "Radford, Alec and Kim, Jong Wook and Xu, Tao and Brockman, Greg and "
            "McLeavey, Christine and Sutskever, Ilya",
            "title": "Robust Speech Recognition via Large-Scale Weak Supervision",
            "booktitle": "Proceedings of the 40th International Conference on Machine Learning",
            "series": "Proceedings of Machine Learning Research",
            "volume": "202",
            "pages": "28492--28518",
            "year": "2023",
        },
    ),
    "gramfort2013": (
        "article",
        {
            "author": "Gramfort, Alexandre and others",
            "title": "{MEG} and {EEG} data analysis with {MNE-Python}",
            "journal": "Frontiers in Neuroscience",
            "volume": "7",
            "pages": "267",
            "year": "2013",
            "doi": "10.3389/fnins.2013.00267",
        },
    ),
    "abraham2014": (
        "article",
        {
            "author": "Abraham, Alexandre and others",
            "title": "Machine learning for neuroimaging with scikit-learn",
            "journal": "Frontiers in Neuroinformatics",
            "volume": "8",
            "pages": "14",
            "year": "2014",
            "doi": "10.3389/fninf.2014.00014",
        },
    ),
    "esteban2019": (
        "article",
        {
            "author": "Esteban, Oscar and others",
            "title": "{fMRIPrep}: a robust preprocessing pipeline for functional {MRI}",
            "journal": "Nature Methods",
            "volume": "16",
            "pages": "111--116",
            "year": "2019",
            "doi": "10.1038/s41592-018-0235-4",
        },
    ),
    "edwards2009": (
        "article",
        {
            "author": "Edwards, Erik and Soltani, Maryam and Kim, Won and Dalal, Sarang S. and "
            "Nagarajan, Srikantan S. and Berger, Mitchel S. and Knight, Robert T.",
            "title": "Comparison of time-frequency responses and the event-related potential to "
            "auditory speech stimuli in human cortex",
            "journal": "Journal of Neurophysiology",
            "volume": "102",
            "pages": "377--386",
            "year": "2009",
            "doi": "10.1152/jn.90954.2008",
        },
    ),
    "verwoert2022": (
        "article",
        {
            "author": "Verwoert, Maxime and Ottenhoff, Maarten C. and Goulis, Sophocles and "
            "Colon, Albert J. and Wagner, Louis and Tousseyn, Simon and van Dijk, Johannes P. and "
            "Kubben, Pieter L. and Herff, Christian",
            "title": "Dataset of Speech Production in intracranial Electroencephalography",
            "journal": "Scientific Data",
            "volume": "9",
            "pages": "434",
            "year": "2022",
        },
    ),
    "khanday2025": (
        "misc",
        {
            "author": "Khanday, Owais Mujtaba and others",
            "title": "Recreating Neural Activity During Speech Production with Language and "
            "Speech Model Embeddings",
            "year": "2025",
            "eprint": "2505.14074",
            "archiveprefix": "arXiv",
            "note": "arXiv:2505.14074",
        },
    ),
    "roussel2020": (
        "article",
        {
            "author": "Roussel, Phil{\\'e}mon and others",
            "title": "Observation and assessment of acoustic contamination of "
            "electrophysiological brain signals during speech production and sound perception",
            "journal": "Journal of Neural Engineering",
            "volume": "17",
            "pages": "056028",
            "year": "2020",
        },
    ),
    "zou2005": (
        "article",
        {
            "author": "Zou, Hui and Hastie, Trevor",
            "title": "Regularization and variable selection via the elastic net",
            "journal": "Journal of the Royal Statistical Society: Series B",
            "volume": "67",
            "number": "2",
            "pages": "301--320",
            "year": "2005",
            "doi": "10.1111/j.1467-9868.2005.00503.x",
        },
    ),
    "mitchell2008": (
        "article",
        {
            "author": "Mitchell, Tom M. and others",
            "title": "Predicting human brain activity associated with the meanings of nouns",
            "journal": "Science",
            "volume": "320",
            "number": "5880",
            "pages": "1191--1195",
            "year": "2008",
            "doi": "10.1126/science.1152876",
        },
    ),
    "zada2025": (
        "article",
        {
            "author": "Zada, Zaid and others",
            "title": "The ``Podcast'' {ECoG} dataset for modeling neural activity during natural "
            "language comprehension",
            "journal": "Scientific Data",
            "year": "2025",
            "note": "Dataset: doi:10.18112/openneuro.ds005574.v1.0.2",
        },
    ),
    "biesmans2017": (
        "article",
        {
            "author": "Biesmans, Wouter and Das, Neetha and Francart, Tom and Bertrand, Alexander",
            "title": "Auditory-inspired speech envelope extraction methods for improved "
            "{EEG}-based auditory attention detection in a cocktail party scenario",
            "journal": "IEEE Transactions on Neural Systems and Rehabilitation Engineering",
            "volume": "25",
            "pages": "402--412",
            "year": "2017",
            "doi": "10.1109/TNSRE.2016.2571900",
        },
    ),
    "nunezelizalde2019": (
        "article",
        {
            "author": "Nunez-Elizalde, Anwar O. and Huth, Alexander G. and Gallant, Jack L.",
            "title": "Voxelwise encoding models with non-spherical multivariate normal priors",
            "journal": "NeuroImage",
            "volume": "197",
            "pages": "482--492",
            "year": "2019",
            "doi": "10.1016/j.neuroimage.2019.04.012",
        },
    ),
    "duprelatour2022": (
        "article",
        {
            "author": "{Dupr{\\'e} la Tour}, Tom and Eickenberg, Michael and "
            "Nunez-Elizalde, Anwar O. and Gallant, Jack L.",
            "title": "Feature-space selection with banded ridge regression",
            "journal": "NeuroImage",
            "volume": "264",
            "pages": "119728",
            "year": "2022",
            "doi": "10.1016/j.neuroimage.2022.119728",
        },
    ),
    "lebel2023": (
        "article",
        {
            "author": "LeBel, Amanda and others",
            "title": "A natural language {fMRI} dataset for voxelwise encoding models",
            "journal": "Scientific Data",
            "volume": "10",
            "pages": "555",
            "year": "2023",
            "doi": "10.1038/s41597-023-02437-z",
        },
    ),
    "benjamini1995": (
        "article",
        {
            "author": "Benjamini, Yoav and Hochberg, Yosef",
            "title": "Controlling the false discovery rate: a practical and powerful approach to "
            "multiple testing",
            "journal": "Journal of the Royal Statistical Society: Series B",
            "volume": "57",
            "pages": "289--300",
            "year": "1995",
            "doi": "10.1111/j.2517-6161.1995.tb02031.x",
        },
    ),
    "knijnenburg2009": (
        "article",
        {
            "author": "Knijnenburg, Theo A. and Wessels, Lodewyk F. A. and "
            "Reinders, Marcel J. T. and Shmulevich, Ilya",
            "title": "Fewer permutations, more accurate {P}-values",
            "journal": "Bioinformatics",
            "volume": "25",
            "pages": "i161--i168",
            "year": "2009",
            "doi": "10.1093/bioinformatics/btp211",
        },
    ),
    "brainalign": (
        "misc",
        {
            "author": "{bids\\_brainalign developers}",
            "title": "bids\\_brainalign: speech and language models aligned with brain recordings",
            "note": f"Version {__version__}, Apache-2.0",
        },
    ),
}


def bibtex(keys: Iterable[str]) -> str:
    """BibTeX entries of these keys, in alphabetical order.

    Parameters
    ----------
    keys : iterable of str
        As in ``[@radford2023]``; each must be known.

    Examples
    --------
    >>> print(bibtex(["benjamini1995"]).splitlines()[0])
    @article{benjamini1995,
    """
    entries = []
    for key in sorted(set(keys)):
        kind, fields = _ARTICLES[key]
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
        entries.append("\n".join([f"@{kind}{{{key},", *lines, "}"]))
    return "\n\n".join(entries) + "\n"


def in_words(key: str) -> str:
    """One line of a reference list in Markdown."""
    _, fields = _ARTICLES[key]
    plain = {name: _plain(value) for name, value in fields.items()}
    parts = [plain["author"].replace(" and others", " et al.").replace(" and ", "; ")]
    if "year" in plain:
        parts[0] += f" ({plain['year']})"
    parts.append(plain["title"])
    journal = plain.get("journal") or plain.get("booktitle")
    if journal:
        numbers = ", ".join(plain[n] for n in ("volume", "pages") if n in plain)
        parts.append(f"*{journal}* {numbers}".rstrip())
    if "doi" in plain:
        parts.append(f"doi:{plain['doi']}")
    if "note" in plain:
        parts.append(plain["note"])
    return ". ".join(part.rstrip(".") for part in parts) + "."


def _plain(text: str) -> str:
    """BibTeX text without its mark-up."""
    for tex, plain in (("{\\'e}", "é"), ("\\_", "_"), ("``", "“"), ("''", "”"), ("--", "–")):
        text = text.replace(tex, plain)
    return text.replace("{", "").replace("}", "")
