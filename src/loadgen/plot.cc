#include "loadgen/plot.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "loadgen/text.h"

namespace tessera::loadgen {
namespace {

constexpr double kWidth = 680;
constexpr double kHeight = 300;
constexpr double kLeft = 62;
constexpr double kRight = 14;
constexpr double kTop = 14;
constexpr double kBottom = 46;

// Okabe and Ito's, which most people can tell apart.
constexpr std::array<const char*, 8> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                 "#e69f00", "#56b4e9", "#7a6a00", "#7f7f7f"};

// 1, 2 or 5 times a power of ten, at least `least`.
double round_step(double least) {
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (power * factor >= least * (1 - 1e-9)) {
      return power * factor;
    }
  }
  return power * 10;
}

std::vector<double> tick_values(const Plot::Axis& axis) {
  std::vector<double> out;
  if (!axis.logarithmic) {
    constexpr double kMost = 6;
    const double step = round_step(std::max(axis.high - axis.low, 1e-9) / kMost);
    for (double at = std::ceil(axis.low / step) * step; at <= axis.high * (1 + 1e-9); at += step) {
      out.push_back(at);
    }
    return out;
  }
  const bool decades = axis.high / axis.low > 300;
  for (double power = std::pow(10, std::floor(std::log10(axis.low))); power <= axis.high; power *= 10) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double at = power * factor;
      if (at >= axis.low * (1 - 1e-9) && at <= axis.high * (1 + 1e-9) && (factor == 1 || !decades)) {
        out.push_back(at);
      }
    }
  }
  return out;
}

// From 0 to 1 along the axis.
double place(const Plot::Axis& axis, double value) {
  const double part = axis.logarithmic ? std::log(std::max(value, axis.low) / axis.low) / std::log(axis.high / axis.low)
                                       : (value - axis.low) / (axis.high - axis.low);
  return std::clamp(part, 0.0, 1.0);
}

}  // namespace

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

double Plot::across(double x) const { return kLeft + place(x_, x) * (kWidth - kLeft - kRight); }
double Plot::down(double y) const { return kHeight - kBottom - place(y_, y) * (kHeight - kTop - kBottom); }

std::string Plot::next_colour(const std::string& name, const char* mark) {
  std::string colour = kColours[colours_++ % kColours.size()];
  legend_ += "<span><b style=\"color:" + colour + "\">" + mark + "</b> " + escaped(name) + "</span>";
  return colour;
}

void Plot::line(const std::string& name, const Points& points) {
  const std::string colour = next_colour(name, "&#9644;");
  marks_ += "<polyline fill=\"none\" stroke-width=\"1.8\" stroke=\"" + colour + "\" points=\"";
  for (const auto& [x, y] : points) {
    marks_ += text("%.1f,%.1f ", across(x), down(y));
  }
  marks_ += "\"><title>" + escaped(name) + "</title></polyline>";
}

void Plot::dots(const std::string& name, const Points& points, bool filled) {
  const std::string colour = next_colour(name, filled ? "&#9679;" : "&#9675;");
  for (const auto& [x, y] : points) {
    marks_ += text("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" stroke-width=\"1.8\" stroke=\"%s\" fill=\"%s\">", across(x),
                   down(y), colour.c_str(), filled ? colour.c_str() : "none");
    marks_ += text("<title>%.4g, %.4g</title></circle>", x, y);
  }
}

void Plot::boxes(const std::string& name, const std::vector<Box>& boxes) {
  const std::string colour = next_colour(name, "&#9632;");
  marks_ += "<g fill=\"" + colour + "\" stroke=\"#fff\" stroke-width=\"0.5\">";
  for (const Box& box : boxes) {
    marks_ += text("<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"><title>", across(box.left),
                   down(box.high), across(box.right) - across(box.left), down(box.low) - down(box.high)) +
              escaped(box.text) + "</title></rect>";
  }
  marks_ += "</g>";
}

void Plot::rule_x(double x, const std::string& label) {
  const double at = across(x);
  const bool left = at > kWidth * 0.7;
  marks_ +=
      text("<line class=\"rule\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", at, at, kTop, kHeight - kBottom);
  marks_ += text("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", at + (left ? -5 : 5), kHeight - kBottom - 6,
                 left ? "end" : "start") +
            escaped(label) + "</text>";
}

void Plot::rule_y(double y, const std::string& label) {
  const double at = down(y);
  marks_ +=
      text("<line class=\"rule\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", kLeft, kWidth - kRight, at, at);
  marks_ += text("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", kWidth - kRight - 4, at - 4) + escaped(label) +
            "</text>";
}

std::string Plot::ticks(const Axis& axis, bool upright) const {
  std::string out;
  for (const double value : tick_values(axis)) {
    const double at = upright ? down(value) : across(value);
    if (upright) {
      out += text("<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", kLeft, kWidth - kRight, at,
                  at);
      out += text("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>", kLeft - 6, at + 4, value);
    } else {
      out += text("<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", at, at, kTop,
                  kHeight - kBottom);
      out += text("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.6g</text>", at, kHeight - kBottom + 17, value);
    }
  }
  return out;
}

std::string Plot::frame() const {
  std::string out = ticks(x_, false) + ticks(y_, true);
  out += text("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", (kLeft + kWidth - kRight) / 2, kHeight - 8) +
         escaped(x_.label) + "</text>";
  const double middle = (kTop + kHeight - kBottom) / 2;
  out += text("<text transform=\"translate(14 %.1f) rotate(-90)\" text-anchor=\"middle\">", middle) +
         escaped(y_.label) + "</text>";
  return out;
}

std::string Plot::svg() const {
  return text("<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\">", kWidth, kHeight) + frame() + marks_ +
         "</svg>\n<p class=\"legend\">" + legend_ + "</p>\n";
}

}  // namespace tessera::loadgen
