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

constexpr std::int64_t kFp16 = 10;  // TensorProto.DataType
constexpr std::int64_t kSide = 8;
constexpr std::size_t kValues = kSide * kSide * kSide;

std::string tensor(std::string_view name, const std::array<std::int64_t, 4>& dims) {
  WireWriter shape;
  for (const std::int64_t size : dims) {
    WireWriter dim;
    dim.integer(1, size);
    shape.text(1, dim.bytes());
  }
  WireWriter of;
  of.integer(1, kFp16);
  of.text(2, shape.bytes());
  WireWriter type;
  type.text(1, of.bytes());
  WireWriter info;
  info.text(1, name);
  info.text(2, type.bytes());
  return info.bytes();
}

std::string node(std::string_view op, const std::array<std::string_view, 2>& inputs, std::string_view output) {
  WireWriter node;
  for (const std::string_view input : inputs) {
    node.text(1, input);
  }
  node.text(2, output);
  node.text(3, op);
  node.text(4, op);
  return node.bytes();
}

// image [1,8,8,8], filter [8,8,1,1] -> their convolution, times itself.
std::string small_model() {
  WireWriter graph;
  graph.text(1, node("Conv", {"image", "filter"}, "map"));
  graph.text(1, node("MatMul", {"map", "map"}, "product"));
  graph.text(2, "first_run");
  graph.text(11, tensor("image", {1, kSide, kSide, kSide}));
  graph.text(11, tensor("filter", {kSide, kSide, 1, 1}));
  graph.text(12, tensor("product", {1, kSide, kSide, kSide}));
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
    std::vector<std::uint16_t> zeros(kValues);
    const std::array<std::int64_t, 4> of_image{1, kSide, kSide, kSide};
    const std::array<std::int64_t, 4> of_filter{kSide, kSide, 1, 1};
    const auto given = [&](const std::array<std::int64_t, 4>& dims, std::size_t values) {
      return Ort::Value::CreateTensor(cpu, zeros.data(), values * sizeof(std::uint16_t), dims.data(), dims.size(),
                                      ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16);
    };
    std::array<Ort::Value, 2> inputs{given(of_image, kValues), given(of_filter, kSide * kSide)};
    const std::array<const char*, 2> input_names{"image", "filter"};
    const std::array<const char*, 1> output_names{"product"};
    session.Run(Ort::RunOptions(), input_names.data(), inputs.data(), inputs.size(), output_names.data(),
                output_names.size());
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
