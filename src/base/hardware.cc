#include "base/hardware.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace tessera {
namespace {

// What stands behind the colon, without the space around it.
std::string value_of(const std::string& line) {
  const std::size_t colon = line.find(':');
  const std::size_t begin = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
  if (begin == std::string::npos) {
    return {};
  }
  return line.substr(begin, line.find_last_not_of(" \t\r") + 1 - begin);
}

bool is_version(const std::string& word) {
  return word.find('.') != std::string::npos && word.find_first_not_of("0123456789.") == std::string::npos;
}

}  // namespace

std::string processor_name(const std::filesystem::path& info) {
  std::ifstream file(info);
  std::string part;
  for (std::string line; std::getline(file, line) && !line.empty();) {  // an empty line follows each processor
    if (line.starts_with("model name")) {
      return value_of(line);
    }
    if (line.starts_with("CPU part")) {
      part = "CPU part " + value_of(line);
    }
  }
  return part;
}

std::string nvidia_module_version(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    if (is_version(word)) {
      return word;
    }
  }
  return {};
}

}  // namespace tessera
