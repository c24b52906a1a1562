"""The sections of the report, one file each: a module turns results into a `Section` or nothing.

Imports: bench.analysis, bench.report.charts, bench.report.content, bench.results, methods.core.
To add a section, write its module and add a line to SECTIONS.
"""

from __future__ import annotations

from bench.report.content.section import MakeSection
from bench.report.sections.answer import answer_section
from bench.report.sections.calibration import calibration_section
from bench.report.sections.contrasts import contrasts_section
from bench.report.sections.cost import cost_section
from bench.report.sections.curves import curves_section
from bench.report.sections.frontier import frontier_section
from bench.report.sections.glossary import glossary_section
from bench.report.sections.judge import judge_section
from bench.report.sections.language_judge import language_judge_section
from bench.report.sections.likelihood import likelihood_section
from bench.report.sections.main import main_section
from bench.report.sections.methods import methods_section
from bench.report.sections.overoptimization import overoptimization_section
from bench.report.sections.provenance import provenance_section
from bench.report.sections.ranking import ranking_section
from bench.report.sections.regret import regret_section
from bench.report.sections.samples import samples_section
from bench.report.sections.settings import settings_section
from bench.report.sections.shape import shape_section
from bench.report.sections.temperatures import temperatures_section
from bench.report.sections.win_rates import win_rates_section

SECTIONS: tuple[MakeSection, ...] = (
    answer_section,
    main_section,
    judge_section,
    language_judge_section,
    ranking_section,
    contrasts_section,
    frontier_section,
    regret_section,
    overoptimization_section,
    win_rates_section,
    temperatures_section,
    methods_section,
    cost_section,
    likelihood_section,
    shape_section,
    curves_section,
    settings_section,
    samples_section,
    calibration_section,
    glossary_section,
    provenance_section,
)
