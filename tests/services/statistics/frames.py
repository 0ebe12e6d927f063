"""Frames to learn from."""

FRAME = {
    "attributeNames": ["age", "smoker", "ward", "note"],
    "attributeTypes": ["C", "B", "T", "X"],
    "data": [["41", "0", "North", "a"], ["58", "1", "south", "b"], [33.5, None, " NORTH ", ""], ["", "1", "", "x"]],
}


def frame(rows=3, names=("a", "b"), start=0):
    data = [[str(start + i + j * j) for j in range(len(names))] for i in range(rows)]
    return {"attributeNames": list(names), "attributeTypes": ["C"] * len(names), "data": data}
