package main

import (
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// series is one line of a chart, with a point for each place on its axis.
type series struct {
	name   string
	points []estimate // those without a median are left out
}

// chart is a picture of ratios, or of other numbers, over names.
type chart struct {
	title, y string
	x        []string
	series   []series
	log      bool    // the y axis is logarithmic
	line     float64 // drawn across, unless 0
	joined   bool    // the points of a series are joined: its names are sizes
}

// colours are told apart by people who see few (Okabe and Ito's).
var colours = []color.Color{
	color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff}, color.RGBA{0xcc, 0x79, 0xa7, 0xff},
	color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0x56, 0xb4, 0xe9, 0xff}, color.RGBA{0x55, 0x55, 0x55, 0xff}, color.RGBA{0xb0, 0xa8, 0x20, 0xff},
	color.RGBA{0x80, 0x20, 0x20, 0xff}, color.RGBA{0x20, 0x20, 0x80, 0xff},
}

// draw writes the chart as an SVG.
func (c chart) draw(folder, name string) error {
	p := plot.New()
	p.Title.Text, p.Title.Padding = c.title, vg.Points(8)
	p.Y.Label.Text = c.y
	p.BackgroundColor = color.White // the page around it may be dark
	// Names behind their marks, at the right: their width is the reader's font's.
	legend := 3.0 // places that it is wide
	width := vg.Length(max(720, 130*len(c.x)))
	p.Legend.Top, p.Legend.Left, p.Legend.Padding = true, true, vg.Points(4)
	if c.joined { // whose names are long, and which leave room below
		legend, p.Legend.Top, p.Legend.XOffs = 0, false, width/8
	} else {
		p.Legend.XOffs = width * vg.Length(float64(len(c.x))/(float64(len(c.x))+legend))
	}
	p.Add(plotter.NewGrid())
	if c.log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	} else {
		p.Y.Min = 0
	}
	for i, s := range c.series {
		if err := c.add(p, i, s); err != nil {
			return err
		}
	}
	if c.line != 0 {
		f := plotter.NewFunction(func(float64) float64 { return c.line })
		f.Dashes, f.Color = []vg.Length{vg.Points(4), vg.Points(3)}, color.Gray{0x60}
		p.Add(f)
		p.Y.Max = max(p.Y.Max, c.line*1.05)
	}
	inLines := strings.NewReplacer(", ", ",\n", " as a text", "\nas a text")
	var names []string
	for _, name := range c.x {
		names = append(names, inLines.Replace(name))
	}
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.5, float64(len(c.x))-0.5
	if c.log { // whole decades, so that there are ticks
		p.Y.Min, p.Y.Max = math.Pow(10, math.Floor(math.Log10(p.Y.Min))), math.Pow(10, math.Ceil(math.Log10(p.Y.Max)))
	}
	p.X.Max += legend
	return p.Save(width, 380, filepath.Join(folder, name+".svg"))
}

// add draws a series; those of one place stand side by side.
func (c chart) add(p *plot.Plot, i int, s series) error {
	var at estimates
	for x, e := range s.points {
		if e.Value > 0 && !math.IsInf(e.Value, 0) {
			shift := 0.0
			if !c.joined {
				shift = 0.6*(float64(i)+0.5)/float64(len(c.series)) - 0.3
			}
			at = append(at, struct {
				x float64
				estimate
			}{float64(x) + shift, e})
		}
	}
	if len(at) == 0 {
		return nil
	}
	colour := colours[i%len(colours)]
	points, err := plotter.NewScatter(at)
	if err != nil {
		return err
	}
	points.Color, points.Shape, points.Radius = colour, draw.CircleGlyph{}, vg.Points(3.5)
	if i >= len(colours) {
		points.Shape = draw.BoxGlyph{}
	}
	bars, err := plotter.NewYErrorBars(at)
	if err != nil {
		return err
	}
	bars.Color, bars.Width = colour, vg.Points(1.2)
	p.Add(points, bars)
	thumbnails := []plot.Thumbnailer{points}
	if c.joined {
		line, err := plotter.NewLine(at)
		if err != nil {
			return err
		}
		line.Color, line.Width = colour, vg.Points(1.5)
		p.Add(line)
		thumbnails = append(thumbnails, line)
	}
	p.Legend.Add(s.name, thumbnails...)
	return nil
}

// estimates are a series' points, as gonum/plot takes them.
type estimates []struct {
	x float64
	estimate
}

// Len is how many there are.
func (e estimates) Len() int { return len(e) }

// XY is where one stands.
func (e estimates) XY(i int) (x, y float64) { return e[i].x, e[i].Value }

// YError is how far its interval goes to either side.
func (e estimates) YError(i int) (low, high float64) {
	return min(0, e[i].Low-e[i].Value), max(0, e[i].High-e[i].Value)
}

// place is where a value stands, appended if it is new.
func place[T comparable](all *[]T, value T) int {
	i := slices.Index(*all, value)
	if i < 0 {
		i = len(*all)
		*all = append(*all, value)
	}
	return i
}
