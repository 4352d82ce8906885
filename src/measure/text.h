// How all measurements write numbers and JSON.
#pragma once

#include <array>
#include <cstdio>
#include <ctime>
#include <string>

#include "measure/numbers.h"

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

inline constexpr const char* kFormat = "%.4f";  // of what reports say in JSON

inline std::string as_json(const Spread& value) {
  return "{\"median\":" + number(value.median, kFormat) + ",\"min\":" + number(value.least, kFormat) +
         ",\"max\":" + number(value.most, kFormat) + "}";
}

// "2026-01-31T12:00:00Z"
inline std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

}  // namespace tessera::measure
