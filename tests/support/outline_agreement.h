// Whether what is read of an ONNX file's outline is what is read of the whole file: for tests and fuzzers.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/descriptor.h"
#include "engine/onnxruntime/file_bytes.h"
#include "engine/onnxruntime/onnx_file.h"
#include "engine/onnxruntime/onnx_outline.h"

namespace tessera::test_support {

// A file without a disk. Owned by one thread.
class MemoryFile {
 public:
  MemoryFile() : file_(::memfd_create("model.onnx", MFD_CLOEXEC)) { TESSERA_CHECK(file_.get() >= 0); }
  explicit MemoryFile(std::span<const std::byte> content) : MemoryFile() { hold(content); }

  void hold(std::span<const std::byte> content) {
    resize(0);
    put(0, content);
  }
  void put(std::uint64_t offset, std::span<const std::byte> content) {
    const auto written = ::pwrite(file_.get(), content.data(), content.size(), static_cast<off_t>(offset));
    TESSERA_CHECK(written == static_cast<ssize_t>(content.size()));
  }
  void resize(std::uint64_t size) { TESSERA_CHECK(::ftruncate(file_.get(), static_cast<off_t>(size)) == 0); }
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(file_.get()); }
  engine::ReadableFile open() const {
    auto opened = engine::ReadableFile::open(path());
    TESSERA_CHECK(opened.ok());
    return std::move(opened).value();
  }

 private:
  Descriptor file_;
};

namespace detail {

template <typename T, typename Say>
std::string say(const Result<T>& result, const Say& say_value) {
  return result.ok() ? say_value(*result)
                     : std::string(to_string(result.error().code())) + ": " + result.error().message();
}

inline std::string say_dims(const std::vector<std::int64_t>& dims) {
  std::string text;
  for (const std::int64_t dim : dims) text += ' ' + std::to_string(dim);
  return text + '\n';
}

inline std::string say_initialisers(const Result<std::vector<engine::StoredTensor>>& found) {
  return say(found, [](const auto& tensors) {
    std::string text;
    for (const engine::StoredTensor& tensor : tensors) {
      text += tensor.name + ' ' + std::to_string(tensor.onnx_type) + ' ' + std::to_string(tensor.external) + ' ' +
              tensor.location + ' ' + std::to_string(tensor.offset) + ' ' + std::to_string(tensor.length) +
              say_dims(tensor.dims);
    }
    return text;
  });
}

inline std::string say_signature(std::span<const std::byte> model) {
  return say(engine::read_declared_signature(model), [](const auto& declared) {
    std::string text = declared ? "declared\n" : "open\n";
    if (!declared) return text;
    for (const auto* tensors : {&declared->inputs, &declared->outputs}) {
      for (const auto& tensor : *tensors) {
        text += tensor.name + ' ' + std::to_string(tensor.onnx_type) + say_dims(tensor.dims);
      }
      text += '\n';
    }
    return text;
  });
}

inline std::string say_locations(std::span<const std::byte> model) {
  return say(engine::external_locations(model), [](const auto& locations) {
    std::string text;
    for (const std::string& location : locations) text += location + '\n';
    return text;
  });
}

// Data that is not left out is that of the file.
inline bool same_kept_data(std::span<const engine::StoredTensor> whole, std::span<const engine::StoredTensor> outline,
                           const engine::OutlineSizes& sizes) {
  return std::equal(whole.begin(), whole.end(), outline.begin(), outline.end(), [&](const auto& a, const auto& b) {
    return a.raw.size() > sizes.kept_data.value || std::equal(a.raw.begin(), a.raw.end(), b.raw.begin(), b.raw.end());
  });
}

}  // namespace detail

// What is read of `file`, which holds `whole`, otherwise by its outline than of all of it; empty if nothing.
inline std::string disagreement(const MemoryFile& file, std::span<const std::byte> whole,
                                const engine::OutlineSizes& sizes = {}) {
  const auto outline = engine::read_outline(file.open(), sizes);
  const auto initialisers = engine::read_initializers(whole);
  if (!outline.ok()) {
    // What an outline is refused for, everybody who reads the whole file refuses.
    const bool refused = !initialisers.ok() && !engine::read_declared_signature(whole).ok() &&
                         !engine::external_locations(whole).ok() &&
                         initialisers.error().code() == outline.error().code();
    return refused ? "" : "the outline alone is refused: " + outline.error().message();
  }
  if (outline->bytes().size() > whole.size()) return "the outline is longer than the file";
  const auto outlined = engine::read_initializers(outline->bytes());
  if (detail::say_initialisers(initialisers) != detail::say_initialisers(outlined)) {
    return "initialisers: " + detail::say_initialisers(initialisers) +
           "of the outline: " + detail::say_initialisers(outlined);
  }
  if (initialisers.ok() && !detail::same_kept_data(*initialisers, *outlined, sizes)) return "data of initialisers";
  for (const auto say : {&detail::say_signature, &detail::say_locations}) {
    if (say(whole) != say(outline->bytes())) return say(whole) + "of the outline: " + say(outline->bytes());
  }
  return "";
}

}  // namespace tessera::test_support
