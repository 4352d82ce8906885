// How all measurements write numbers and JSON.
#pragma once

#include <array>
#include <cstdio>
#include <string>

namespace tessera::measure {

inline std::string number(double value, const char* format = "%.3f") {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

inline std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

}  // namespace tessera::measure
