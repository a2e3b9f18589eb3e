package rules

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

func numberFunctions() []function {
	return []function{
		{
			Function: Function{
				"int", "int(value) number",
				"The whole number that a text is, or a number without its fraction.",
				[]Example{{`int(event.data.exit_code) == 0`, `{"exit_code": "0"}`, `true`}, {`int(-2.7)`, ``, `-2`}},
			},
			params: []param{{kind: numberKind}}, least: 1, returns: returns[int](), body: toInt,
		},
		{
			Function: Function{
				"float", "float(value) number", "The number that a text is, fraction or not.",
				[]Example{{`float(event.data.load) > 1.5`, `{"load": "1.75"}`, `true`}},
			},
			params: []param{{kind: numberKind}}, least: 1, returns: returns[float64](), body: toFloat,
		},
		{Function: Function{
			"abs", "abs(number) number", "The number without its sign.",
			[]Example{{`abs(event.data.drift) > 2`, `{"drift": -3}`, `true`}},
		}},
		{Function: Function{
			"ceil", "ceil(number) number", "The number, rounded up to a whole one.", []Example{{`ceil(1.2)`, ``, `2`}},
		}},
		{Function: Function{
			"floor", "floor(number) number", "The number, rounded down to a whole one.", []Example{{`floor(1.8)`, ``, `1`}},
		}},
		{Function: Function{
			"round", "round(number) number", "The number, rounded to the nearest whole one; halves away from 0.",
			[]Example{{`round(2.5)`, ``, `3`}},
		}},
		{Function: Function{
			"max", "max(number, ...) number", "The greatest of numbers, or of lists of them.",
			[]Example{{`max(event.data.sizes)`, `{"sizes": [3, 20, 5]}`, `20`}, {`max(event.data.n, 10)`, `{"n": 5}`, `10`}},
		}},
		{Function: Function{
			"min", "min(number, ...) number", "The least of numbers, or of lists of them.",
			[]Example{{`min(event.data.n, 10)`, `{"n": 5}`, `5`}},
		}},
	}
}

func toInt(c *call) (any, error) {
	switch v := c.args[0].(type) {
	case int:
		return v, nil
	case int64:
		return int(v), nil
	case float64:
		if t := math.Trunc(v); math.Abs(t) < 1<<63 {
			return int(t), nil
		}
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return int(n), nil
		}
		return nil, fmt.Errorf("%q is not a whole number", short(v))
	}
	return nil, errors.New("the number is too large for int")
}

func toFloat(c *call) (any, error) {
	switch v := c.args[0].(type) {
	case string:
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, fmt.Errorf("%q is not a number", short(v))
		}
		return f, nil
	case float64:
		return v, nil
	case uint64:
		return float64(v), nil
	default:
		n, _ := whole(v)
		return float64(n), nil
	}
}
