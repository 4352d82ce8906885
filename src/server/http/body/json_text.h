// Writing JSON by hand where the form is known: no document in between.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace tessera::server::http {

// Appends `text` as a JSON string with its quotes. Returns false, with `out` as it was, where it is not UTF-8.
bool append_json_string(std::string& out, std::string_view text);

// The same for text of ours or text that was checked: what is not UTF-8 becomes U+FFFD.
void append_json_text(std::string& out, std::string_view text);

template <typename Integer>
void append_integer(std::string& out, Integer value) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, value);
  out.append(text, static_cast<std::size_t>(end.ptr - text));
}

// {"error":"..."}
std::string error_json(std::string_view message);

}  // namespace tessera::server::http
