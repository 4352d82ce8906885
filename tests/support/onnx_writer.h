// Writes small ONNX models byte by byte, so that tests and fuzzers need neither files in the tree nor a second
// language.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "core/dtype.h"
#include "engine/onnxruntime/wire_writer.h"

namespace tessera::test_support {

using engine::WireWriter;

inline std::span<const std::byte> span_of(const std::string& text) {
  return std::as_bytes(std::span<const char>(text));
}

// A message put at the end of a path of message fields.
inline std::string nested(std::initializer_list<std::uint32_t> path, std::string message) {
  for (auto field = std::rbegin(path); field != std::rend(path); ++field) {
    WireWriter outer;
    outer.text(*field, message);
    message = outer.bytes();
  }
  return message;
}

// The element types of ONNX (TensorProto.DataType).
inline std::int64_t onnx_type(DType dtype) {
  switch (dtype) {
    case DType::kFp32:
      return 1;
    case DType::kUint8:
      return 2;
    case DType::kInt8:
      return 3;
    case DType::kUint16:
      return 4;
    case DType::kInt16:
      return 5;
    case DType::kInt32:
      return 6;
    case DType::kInt64:
      return 7;
    case DType::kBytes:
      return 8;
    case DType::kBool:
      return 9;
    case DType::kFp16:
      return 10;
    case DType::kFp64:
      return 11;
    case DType::kUint32:
      return 12;
    case DType::kUint64:
      return 13;
    case DType::kBf16:
      return 16;
  }
  return 0;
}

// One dimension in a model: a size (negative values are written as they are), a name, or neither.
struct OnnxDim {
  OnnxDim(std::int64_t size) : size_is_set(true), size(size) {}  // NOLINT(google-explicit-constructor)
  OnnxDim(const char* name) : name(name) {}                      // NOLINT(google-explicit-constructor)
  static OnnxDim free() { return OnnxDim(""); }

  bool size_is_set = false;
  std::int64_t size = 0;
  std::string name;  // empty: an unnamed free dimension
};

struct OnnxAttribute {
  static OnnxAttribute integer(std::string_view name, std::int64_t value) {
    WireWriter w;
    w.text(1, name);
    w.integer(3, value);
    w.integer(20, 2);
    return {w.bytes()};
  }
  static OnnxAttribute integers(std::string_view name, const std::vector<std::int64_t>& values) {
    WireWriter w;
    w.text(1, name);
    for (const std::int64_t value : values) {
      w.integer(8, value);
    }
    w.integer(20, 7);
    return {w.bytes()};
  }
  static OnnxAttribute real(std::string_view name, float value) {
    WireWriter w;
    w.text(1, name);
    w.real(2, value);
    w.integer(20, 1);
    return {w.bytes()};
  }

  std::string bytes;
};

// A graph under construction. Owned by one thread.
class OnnxWriter {
 public:
  explicit OnnxWriter(std::int64_t opset = 17) : opset_(opset) {}

  OnnxWriter& input(std::string_view name, DType dtype, const std::vector<OnnxDim>& shape) {
    graph_.text(11, value_info(name, dtype, shape));
    return *this;
  }
  OnnxWriter& output(std::string_view name, DType dtype, const std::vector<OnnxDim>& shape) {
    graph_.text(12, value_info(name, dtype, shape));
    return *this;
  }
  OnnxWriter& node(std::string_view op, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs,
                   const std::vector<OnnxAttribute>& attributes = {}) {
    WireWriter w;
    for (const std::string& name : inputs) {
      w.text(1, name);
    }
    for (const std::string& name : outputs) {
      w.text(2, name);
    }
    w.text(3, std::string(op) + "_" + std::to_string(nodes_++));
    w.text(4, op);
    for (const OnnxAttribute& attribute : attributes) {
      w.text(5, attribute.bytes);
    }
    graph_.text(1, w.bytes());
    return *this;
  }
  // `data`: the elements, little-endian and dense.
  OnnxWriter& initializer(std::string_view name, DType dtype, const std::vector<std::int64_t>& shape,
                          std::string_view data) {
    WireWriter w = tensor_head(name, dtype, shape);
    w.text(9, data);
    graph_.text(5, w.bytes());
    return *this;
  }
  // The elements lie in a file beside the model (or, in a malicious model, wherever `location` says).
  OnnxWriter& external_initializer(std::string_view name, DType dtype, const std::vector<std::int64_t>& shape,
                                   std::string_view location, std::uint64_t offset, std::uint64_t length) {
    WireWriter w = tensor_head(name, dtype, shape);
    const std::pair<std::string_view, std::string> entries[] = {
        {"location", std::string(location)}, {"offset", std::to_string(offset)}, {"length", std::to_string(length)}};
    for (const auto& [key, value] : entries) {
      WireWriter entry;
      entry.text(1, key);
      entry.text(2, value);
      w.text(13, entry.bytes());
    }
    w.integer(14, 1);
    graph_.text(5, w.bytes());
    return *this;
  }

  std::string bytes() const {
    WireWriter graph = graph_;
    graph.text(2, "graph");
    WireWriter opset;
    opset.text(1, "");
    opset.integer(2, opset_);
    WireWriter model;
    model.integer(1, 8);
    model.text(2, "tessera-tests");
    model.text(7, graph.bytes());
    model.text(8, opset.bytes());
    return model.bytes();
  }
  void save(const std::filesystem::path& path) const {
    std::filesystem::create_directories(path.parent_path());
    const std::string content = bytes();
    std::ofstream out(path, std::ios::binary);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    TESSERA_CHECK(out.flush().good());
  }

 private:
  static std::string value_info(std::string_view name, DType dtype, const std::vector<OnnxDim>& shape) {
    WireWriter dims;
    for (const OnnxDim& dim : shape) {
      WireWriter w;
      if (dim.size_is_set) {
        w.integer(1, dim.size);
      } else if (!dim.name.empty()) {
        w.text(2, dim.name);
      }
      dims.text(1, w.bytes());
    }
    WireWriter tensor;
    tensor.integer(1, onnx_type(dtype));
    tensor.text(2, dims.bytes());
    WireWriter type;
    type.text(1, tensor.bytes());
    WireWriter info;
    info.text(1, name);
    info.text(2, type.bytes());
    return info.bytes();
  }
  static WireWriter tensor_head(std::string_view name, DType dtype, const std::vector<std::int64_t>& shape) {
    WireWriter w;
    for (const std::int64_t dim : shape) {
      w.integer(1, dim);
    }
    w.integer(2, onnx_type(dtype));
    w.text(8, name);
    return w;
  }

  std::int64_t opset_;
  std::size_t nodes_ = 0;
  WireWriter graph_;
};

// ---- Ready-made models ---------------------------------------------------------------------------------------------

// Triton's `simple`: INPUT0, INPUT1 -> OUTPUT0 = sum, OUTPUT1 = difference, INT32 [16] (with a free batch dimension in
// front when `batching`).
inline OnnxWriter add_sub_model(bool batching) {
  const std::vector<OnnxDim> shape = batching ? std::vector<OnnxDim>{"batch", 16} : std::vector<OnnxDim>{16};
  OnnxWriter model;
  model.input("INPUT0", DType::kInt32, shape).input("INPUT1", DType::kInt32, shape);
  model.output("OUTPUT0", DType::kInt32, shape).output("OUTPUT1", DType::kInt32, shape);
  model.node("Add", {"INPUT0", "INPUT1"}, {"OUTPUT0"}).node("Sub", {"INPUT0", "INPUT1"}, {"OUTPUT1"});
  return model;
}

// INPUT0 -> OUTPUT0, any element type and shape.
inline OnnxWriter identity_model(DType dtype, const std::vector<OnnxDim>& shape) {
  OnnxWriter model;
  model.input("INPUT0", dtype, shape).output("OUTPUT0", dtype, shape).node("Identity", {"INPUT0"}, {"OUTPUT0"});
  return model;
}

inline OnnxWriter string_identity_model() { return identity_model(DType::kBytes, {"batch", OnnxDim("length")}); }
inline OnnxWriter fp16_identity_model() { return identity_model(DType::kFp16, {"batch", 8}); }
// Every dimension is the request's choice.
inline OnnxWriter dynamic_identity_model() {
  return identity_model(DType::kFp32, {"batch", "height", OnnxDim::free(), -1});
}

// The same small numbers for the same seed, on any machine.
inline std::vector<float> small_numbers(std::size_t count, std::uint32_t seed, float scale) {
  std::vector<float> out(count);
  std::uint32_t state = seed * 2654435761U + 1;
  for (float& value : out) {
    state = state * 1664525U + 1013904223U;
    value = (static_cast<float>(state >> 8) / 8388608.0F - 1.0F) * scale;
  }
  return out;
}

// `layers` of x = Relu(x * W + b), FP32 [batch, width] -> [batch, width]: layers * width * (width + 1) * 4 bytes of
// weights.
inline OnnxWriter matmul_chain_model(std::int64_t width, int layers) {
  OnnxWriter model;
  model.input("INPUT0", DType::kFp32, {"batch", width}).output("OUTPUT0", DType::kFp32, {"batch", width});
  const auto as_bytes = [](const std::vector<float>& values) {
    return std::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  };
  std::string current = "INPUT0";
  for (int layer = 0; layer < layers; ++layer) {
    const std::string n = std::to_string(layer);
    const auto seed = static_cast<std::uint32_t>(layer);
    const auto size = static_cast<std::size_t>(width);
    model.initializer("W" + n, DType::kFp32, {width, width},
                      as_bytes(small_numbers(size * size, seed * 2 + 1, 2.0F / static_cast<float>(width))));
    model.initializer("b" + n, DType::kFp32, {width}, as_bytes(small_numbers(size, seed * 2 + 2, 0.1F)));
    model.node("MatMul", {current, "W" + n}, {"m" + n}).node("Add", {"m" + n, "b" + n}, {"a" + n});
    current = layer + 1 == layers ? "OUTPUT0" : "x" + n;
    model.node("Relu", {"a" + n}, {current});
  }
  return model;
}

}  // namespace tessera::test_support
