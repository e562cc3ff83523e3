"""How a session of ONNX Runtime is set, wherever it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnxruntime

SPIN_US = "100"
LARGEST_CONSTANT = str(64 << 20)  # bytes of what the runtime computes ahead: a few numbers can describe any size


def session_options(threads: int, cores: Sequence[int], *, folder: Path) -> onnxruntime.SessionOptions:
    """Options of a session.

    Threads wait for each other by spinning within a run, as they do in an app by default, but never long, and sleep
    between runs: otherwise a session that has had its turn would take the next one's cores, and one whose partner has
    lost its core to another process would keep its own busy for nothing. On a calm machine that costs no time;
    sleeping at once does, up to half of a small network's.

    Args:
        threads: Inside one run, the caller's among them.
        cores: Where they belong, the caller's first; anywhere if there are none.
        folder: Where weights beside the file may lie: never the working folder, which may hold others' of these names.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it logs as an error it also raises, and that is told in one line
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.intra_op.spin_duration_us", SPIN_US)
    if len(cores) > 1:  # the caller's thread is the first; the runtime counts cores from 1
        places = ";".join(str(core + 1) for core in cores[1:])
        options.add_session_config_entry("session.intra_op_thread_affinities", places)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder.resolve()))
    options.add_session_config_entry("optimization.constant_folding_max_output_size_in_bytes", LARGEST_CONSTANT)
    return options
