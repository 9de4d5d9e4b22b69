package main

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
)

// pictured are the figures of groups that a picture shows; "": all.
var pictured = map[string]string{
	"keys": "calls/s as a ratio", "rules": "calls/s as a ratio", "streams": "memory of a stream", "rows": "",
}

// growth is a table for each figure: how it grows.
func (r *report) growth() string {
	var b strings.Builder
	var titles []string
	for _, c := range r.Curves {
		place(&titles, c.title())
	}
	for _, title := range titles {
		curves := r.titled(title)
		var xs []string
		for _, c := range curves {
			for _, p := range c.Points {
				place(&xs, humanize.Comma(int64(p.X)))
			}
		}
		fmt.Fprintf(&b, "\n## %s\n\n| %s | %s |\n|---|%s\n", title, curves[0].X, strings.Join(xs, " | "), strings.Repeat("---|", len(xs)))
		for _, c := range curves {
			cells := make([]string, len(xs))
			for _, p := range c.Points {
				cells[place(&xs, humanize.Comma(int64(p.X)))] = p.String()
			}
			fmt.Fprintf(&b, "| %s | %s |\n", c.Series, strings.Join(cells, " | "))
		}
	}
	return b.String()
}

func (c curve) title() string {
	title := fmt.Sprintf("By %s: %s", c.X, c.Figure)
	if c.Unit != "" && c.Unit != c.Figure {
		title += ", " + c.Unit
	}
	return title
}

func (r *report) titled(title string) (curves []curve) {
	for _, c := range r.Curves {
		if c.title() == title {
			curves = append(curves, c)
		}
	}
	return curves
}

// String is a point as the tables have it.
func (p point) String() string {
	if p.Low == p.Median && p.High == p.Median {
		return short(p.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", short(p.Median), short(p.Low), short(p.High))
}

// drawGrowth makes a picture of each group's chief figures.
func (r *report) drawGrowth(folder string) error {
	charts := map[string]*chart{}
	for _, curve := range r.Curves {
		want, shown := pictured[curve.Group]
		if !shown || want != "" && want != curve.Figure {
			continue
		}
		c := charts[curve.Group]
		if c == nil {
			c = &chart{title: "By " + curve.X, y: curve.Figure, joined: true, log: want == ""}
			if curve.Unit == "" {
				c.line = 1
			}
			if want == "" {
				c.y = curve.Unit + " (logarithmic)"
			}
			charts[curve.Group] = c
		}
		s := series{name: curve.Series}
		if want == "" {
			s.name = curve.Figure + ", " + curve.Series
		}
		for _, p := range curve.Points {
			i := place(&c.x, humanize.Comma(int64(p.X)))
			for len(s.points) <= i {
				s.points = append(s.points, estimate{})
			}
			s.points[i] = estimate{p.Median, p.Low, p.High}
		}
		c.series = append(c.series, s)
	}
	for group, c := range charts {
		if err := c.draw(folder, "growth-"+group); err != nil {
			return err
		}
	}
	return nil
}
