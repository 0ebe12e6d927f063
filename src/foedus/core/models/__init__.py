"""Models from statistics: linear, penalised, discriminant, Bayes and others, none of which sees a row.

    recipe = registry.build("foedus.models", "mlr", {})                    # a frozen dataclass of options
    model = recipe.fit(statistics, Task(inputs=("age", "bmi"), targets=("pressure",)))
    predicted(model, {"age": [41.0], "bmi": [27.5]})                       # {"res": array([...])}
    text = document.encode("mlr", model); document.decode(text)            # JSON; raises Invalid for anything else

A recipe is registered in the group ``foedus.models``; ``model.py`` says what it and its model must be. One file each,
with its source. ``docs/reference/models.md`` lists what each needs, which are exact, and which approximate what.
"""

from foedus.core.models.model import Model, Recipe, Task, predicted

__all__ = ["Model", "Recipe", "Task", "predicted"]
