// What a shared library imports, made to come from elsewhere: for libraries that offer no seam of their own.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tessera {

struct ImportReplacement {
  const char* symbol = nullptr;  // without its version
  void* with = nullptr;          // a function of the same type
};

// A library that is loaded already. It stays so for good: what replaces its imports goes on calling what they were.
// Thread-safe; immutable.
class LoadedLibrary {
 public:
  // `file`: the last part of its path. Error: kNotFound where none of that name is loaded.
  static Result<LoadedLibrary> find(std::string_view file);

  const std::string& path() const { return path_; }

  // What the library's own import of that name is when nothing replaces it; nullptr: there is none.
  void* imported(const char* symbol) const;

  // From now on the library's calls of these symbols go there, whichever thread makes them. Symbols that it does not
  // import are passed over. The number of places that were changed: 0 the second time. Linux on x86-64 (ELF).
  Result<std::size_t> replace(std::span<const ImportReplacement> replacements) const;

 private:
  LoadedLibrary(std::string path, void* handle) : path_(std::move(path)), handle_(handle) {}

  std::string path_;
  void* handle_;
};

}  // namespace tessera
