// How commands take a number.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace tessera::apps {

// From `least` to `most`, into `value`.
template <typename T>
CLI::Option* number_option(CLI::App& command, const std::string& name, const std::string& type, double least,
                           double most, T& value, const std::string& help) {
  return command.add_option(name, value, help)->type_name(type)->check(CLI::Range(least, most).description(""));
}

}  // namespace tessera::apps
