#include "engine/onnxruntime/cuda/first_run.h"

#include <array>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "engine/onnxruntime/cuda/provider.h"
#include "engine/onnxruntime/wire_writer.h"

namespace tessera::engine {
namespace {

// What the small model is given. Filters of three by three, in both precisions: for others cuDNN looks elsewhere.
struct Given {
  const char* name;
  ONNXTensorElementDataType type;  // as TensorProto.DataType has it
  std::array<std::int64_t, 4> dims;

  std::size_t bytes() const {
    const auto values = static_cast<std::size_t>(dims[0] * dims[1] * dims[2] * dims[3]);
    return values * (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT ? sizeof(float) : sizeof(std::uint16_t));
  }
};
constexpr std::array<Given, 4> kGiven{{{"halves", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, {1, 64, 16, 16}},
                                       {"filter_of_halves", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, {64, 64, 3, 3}},
                                       {"floats", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, {1, 3, 64, 64}},
                                       {"filter_of_floats", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, {32, 3, 3, 3}}}};
constexpr std::array kOutputs{"product_of_halves", "product_of_floats"};

std::string tensor(std::string_view name, ONNXTensorElementDataType type, const std::vector<std::int64_t>& dims) {
  WireWriter shape;
  for (const std::int64_t size : dims) {
    WireWriter dim;
    if (size > 0) {
      dim.integer(1, size);
    }
    shape.text(1, dim.bytes());
  }
  WireWriter of;
  of.integer(1, type);
  of.text(2, shape.bytes());
  WireWriter described;
  described.text(1, of.bytes());
  WireWriter info;
  info.text(1, name);
  info.text(2, described.bytes());
  return info.bytes();
}

std::string node(std::string_view op, std::string_view first, std::string_view second, std::string_view output) {
  WireWriter node;
  node.text(1, first);
  node.text(1, second);
  node.text(2, output);
  node.text(3, output);
  node.text(4, op);
  return node.bytes();
}

// A convolution in each precision, times itself.
std::string small_model() {
  WireWriter graph;
  graph.text(1, node("Conv", kGiven[0].name, kGiven[1].name, "map_of_halves"));
  graph.text(1, node("MatMul", "map_of_halves", "map_of_halves", kOutputs[0]));
  graph.text(1, node("Conv", kGiven[2].name, kGiven[3].name, "map_of_floats"));
  graph.text(1, node("MatMul", "map_of_floats", "map_of_floats", kOutputs[1]));
  graph.text(2, "first_run");
  for (const Given& given : kGiven) {
    graph.text(11, tensor(given.name, given.type, {given.dims.begin(), given.dims.end()}));
  }
  graph.text(12, tensor(kOutputs[0], kGiven[0].type, {0, 0, 0, 0}));
  graph.text(12, tensor(kOutputs[1], kGiven[2].type, {0, 0, 0, 0}));
  WireWriter opset;
  opset.text(1, "");
  opset.integer(2, 17);
  WireWriter model;
  model.integer(1, 8);
  model.text(7, graph.bytes());
  model.text(8, opset.bytes());
  return model.bytes();
}

Status run(const CudaParts& parts) {
  const device::CurrentContext current(*parts.gpu);
  TESSERA_RETURN_IF_ERROR(current.status());
  const WorkingAt here(parts.loader_place(), **parts.scratch);
  const auto ran = guarded(Blame::kUs, [&] {
    Ort::SessionOptions options = parts.environment->session_options();
    add_provider(parts, parts.device.build_stream(), ProviderOptions{}, options);
    const std::string model = small_model();
    Ort::Session session(parts.environment->env(), model.data(), model.size(), options);
    const Ort::MemoryInfo cpu = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
    std::vector<std::vector<std::byte>> zeros;
    std::vector<const char*> names;
    std::vector<Ort::Value> values;
    for (const Given& given : kGiven) {
      std::vector<std::byte>& bytes = zeros.emplace_back(given.bytes());
      names.push_back(given.name);
      values.push_back(
          Ort::Value::CreateTensor(cpu, bytes.data(), bytes.size(), given.dims.data(), given.dims.size(), given.type));
    }
    session.Run(Ort::RunOptions(), names.data(), values.data(), values.size(), kOutputs.data(), kOutputs.size());
  });
  return ran.ok() ? ok_status() : Status(ran.error());
}

}  // namespace

Status run_libraries_once(const CudaParts& parts) {
  Status done;
  std::thread([&] { done = run(parts); }).join();
  return done;
}

}  // namespace tessera::engine
