// A chart as inline SVG, which needs nothing beside it.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tessera::loadgen {

// What stands for itself in HTML and SVG.
std::string escaped(const std::string& text);

// Value. Points outside its axes are drawn at their edge.
class Plot {
 public:
  struct Axis {
    std::string label;
    double low = 0;
    double high = 1;
    bool logarithmic = false;  // then low > 0
  };
  using Points = std::vector<std::pair<double, double>>;

  Plot(Axis x, Axis y) : x_(std::move(x)), y_(std::move(y)) {}

  // Each has the next colour; the legend stands below in this order.
  void line(const std::string& name, const Points& points);
  void dots(const std::string& name, const Points& points, bool filled);
  // Each with a text that shows where one points at it.
  struct Box {
    double left = 0;
    double right = 0;
    double low = 0;
    double high = 0;
    std::string text;
  };
  void boxes(const std::string& name, const std::vector<Box>& boxes);
  // A dashed line across, at a value of that axis.
  void rule_x(double x, const std::string& text);
  void rule_y(double y, const std::string& text);

  std::string svg() const;  // with its legend, as HTML

 private:
  std::string frame() const;
  std::string ticks(const Axis& axis, bool upright) const;
  double across(double x) const;
  double down(double y) const;
  std::string next_colour(const std::string& name, const char* mark);

  Axis x_;
  Axis y_;
  std::size_t colours_ = 0;
  std::string marks_;
  std::string legend_;
};

}  // namespace tessera::loadgen
