"""The README.md in a result folder: what the folder holds and how to load it.

It is made of the recipe and the model's type only; nothing of any record, and no metric: which of
those may be told to whom is for the contract.
"""

from __future__ import annotations

from collections.abc import Sequence

from sealtune.training.recipe import Method, Recipe, Task


def model_card(
    recipe: Recipe,
    *,
    model_type: str,
    class_name: str,
    padding: int | None,
    replaced: Sequence[str],
) -> bytes:
    """Return README.md for the result of `recipe` on a model of `model_type`.

    `padding` is the pad token id that the base model's configuration lacks and a batch needs,
    `replaced` are the parts that the base model has for another number of classes.
    """
    lora = recipe.method is Method.LORA
    lines = [
        "---",
        f"library_name: {'peft' if lora else 'transformers'}",
        f"pipeline_tag: {_pipeline(recipe.task)}",
        "tags: [sealtune]",
        "---",
        "",
        f"# {'LoRA adapter' if lora else 'Fine-tuned model'} ({model_type}, {recipe.task})",
        "",
        "Made by sealtune from a sealed model and sealed records. The receipt that came with it",
        "names every input by digest.",
        "",
        "## Load it",
        "",
        "```python",
        *(
            _load_adapter(recipe, class_name, padding, replaced)
            if lora
            else _load_model(recipe, class_name)
        ),
        "```",
        "",
        *_replaced_lines(replaced),
        *_label_lines(recipe),
        "## Recipe",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in recipe.to_dict().items() if name != "labels"),
        "",
    ]
    return "\n".join(lines).encode()


def _pipeline(task: Task) -> str:
    return "text-generation" if task is Task.CAUSAL_LM else str(task.value)


def _load_adapter(
    recipe: Recipe, class_name: str, padding: int | None, replaced: Sequence[str]
) -> Sequence[str]:
    labels = f", num_labels={len(recipe.labels)}" if recipe.labels else ""
    labels += ", ignore_mismatched_sizes=True" if replaced else ""
    lines = [
        "from peft import PeftModel",
        f"from transformers import {class_name}",
        "",
        "# BASE: the folder of the very model that was sealed; HERE: this folder.",
        f"base = {class_name}.from_pretrained(BASE{labels})",
    ]
    if padding is not None and recipe.labels:
        lines.append(f"base.config.pad_token_id = {padding}  # the base model names none")
    return [*lines, "model = PeftModel.from_pretrained(base, HERE)"]


def _load_model(recipe: Recipe, class_name: str) -> Sequence[str]:
    if recipe.task is Task.IMAGE_CLASSIFICATION:
        reader, name = "AutoImageProcessor", "processor"
    else:
        reader, name = "AutoTokenizer", "tokenizer"
    return [
        f"from transformers import {reader}, {class_name}",
        "",
        "# HERE: this folder.",
        f"model = {class_name}.from_pretrained(HERE)",
        f"{name} = {reader}.from_pretrained(HERE)",
    ]


def _replaced_lines(replaced: Sequence[str]) -> Sequence[str]:
    if not replaced:
        return []
    names = ", ".join(f"`{name}`" for name in replaced)
    return [f"The base model's {names}, for another number of classes, gave way to a new one.", ""]


def _label_lines(recipe: Recipe) -> Sequence[str]:
    if not recipe.labels:
        return []
    rows = [f"| {index} | {name} |" for index, name in enumerate(recipe.labels)]
    return ["## Labels", "", "| index | name |", "|---|---|", *rows, ""]
