from foedus.faces.console.charts import HEIGHT, MAX_CHARTS, WIDTH, charts_of


def test_a_metric_is_a_line_from_its_first_to_its_last_checkpoint():
    (chart,) = charts_of([(1, {"loss": 3.0}), (2, {"loss": 1.0}), (4, {"loss": 2.0})])

    assert (chart.name, chart.low, chart.high, chart.first, chart.last) == ("loss", 1.0, 3.0, 1, 4)
    assert chart.dots == ((8.0, 8.0), (216.0, 192.0), (632.0, 100.0))
    assert chart.points == "8.0,8.0 216.0,192.0 632.0,100.0"
    assert chart.rows == ((1, 3.0), (2, 1.0), (4, 2.0))


def test_what_is_no_number_is_no_point_and_one_point_is_fine():
    measured = [(1, {"loss": float("nan"), "note": "x", "ok": True, "auc": 0.5}), (2, {"loss": float("inf")})]

    (chart,) = charts_of(measured)

    assert chart.name == "auc"
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in chart.dots)


def test_there_are_never_too_many():
    assert len(charts_of([(1, {f"m{number}": 1.0 for number in range(50)})])) == MAX_CHARTS
    assert charts_of([]) == []
