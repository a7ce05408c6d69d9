"""`python -m sealtune.testing.bench.profile JOB`: where a step's time goes, by kind of operator.

The engine in plaintext, or the peer where the job names one, once it is warm. Each operator is
timed where torch dispatches it, by the clock on the wall, since it uses all threads. Torch's own
profiler is not used: with it some products took twice the time. What no operator accounts for is
the interpreter, autograd's bookkeeping and the timing.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from torch.utils._python_dispatch import TorchDispatchMode

from sealtune.testing.bench import peer, plain
from sealtune.testing.bench.job import Job, read_job

WARMUP: Final = 2  # optimizer steps
OTHER: Final = "everything else"
INTERPRETER: Final = "outside of operators"
# In the order of the table; an operator belongs to the first that names it.
KINDS: Final[Mapping[str, frozenset[str]]] = {
    "matrix products": frozenset({"mm", "addmm", "addmm_", "linear"}),
    "attention": frozenset(
        {
            "bmm",
            "baddbmm",
            "baddbmm_",
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_flash_attention_for_cpu_backward",
        }
    ),
    "softmax and its like": frozenset(
        {
            "_softmax",
            "_softmax_backward_data",
            "_log_softmax",
            "_log_softmax_backward_data",
            "nll_loss_forward",
            "nll_loss_backward",
            "exp",
            "exp_",
        }
    ),
    "copies, casts, filling": frozenset(
        {
            "copy_",
            "fill_",
            "zero_",
            "clone",
            "cat",
            "index",
            "index_select",
            "gather",
            "index_put_",
            "_index_put_impl_",
            "embedding",
            "empty",
            "empty_like",
            "empty_strided",
            "resize_",
        }
    ),
    "sums and extremes": frozenset({"sum", "amax", "mean", "linalg_vector_norm", "norm", "cumsum"}),
    "activations": frozenset(
        {"silu", "silu_", "silu_backward", "gelu", "gelu_backward", "tanh", "tanh_"}
    ),
    "normalization": frozenset(
        {"native_layer_norm", "native_layer_norm_backward", "rsqrt", "rsqrt_", "pow", "pow_"}
    ),
    "element-wise": frozenset(
        {
            *("add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_", "neg", "neg_"),
            *("addcmul", "addcmul_", "addcdiv_", "where", "maximum", "rsub", "square_"),
        }
    ),
    "optimizer": frozenset({"_fused_adamw_", "_foreach_norm", "_foreach_mul_"}),
}


class Watch(TorchDispatchMode):  # type: ignore[misc]  # torch is unseen by mypy here
    """Times operators from the end of the warm-up's last optimizer step to the end of the last."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job, self._done, self._since = job, 0, 0.0
        self.seconds = 0.0
        self.operators: dict[str, float] = defaultdict(float)

    def after_step(self) -> None:
        """Note that an optimizer step ended."""
        self._done += 1
        if self._done == WARMUP:
            self.__enter__()
            self._since = time.perf_counter()
        elif self._done == self._job.steps:
            self.seconds = time.perf_counter() - self._since
            self.__exit__(None, None, None)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operator and add to its seconds."""
        start = time.perf_counter()
        result = func(*args, **(kwargs or {}))
        self.operators[func.overloadpacket.__name__] += time.perf_counter() - start
        return result


def kind_of(operator: str) -> str:
    """Return which of `KINDS` an operator belongs to."""
    return next((kind for kind, names in KINDS.items() if operator in names), OTHER)


def main(job: Job) -> dict[str, Any]:
    """Train as the job says; return the seconds, the tokens and each operator's own seconds."""
    watch = Watch(job)
    run = peer.main if job.peer else plain.main
    result = run(job, watch.after_step)
    return {
        "seconds": watch.seconds,
        "tokens": sum(result["tokens_per_step"][WARMUP : job.steps]),
        "operators": dict(watch.operators),
    }


if __name__ == "__main__":
    this = read_job(sys.argv[1])
    this.finish(main(this))
