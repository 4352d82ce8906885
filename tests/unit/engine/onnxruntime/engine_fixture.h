// The real engine on small models that a test writes itself.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/batch.h"
#include "device/host/host_plan.h"
#include "engine/onnxruntime/onnx_engine.h"
#include "tests/support/onnx_writer.h"

namespace tessera::engine {

class EngineTest : public testing::Test {
 public:
  ~EngineTest() override { std::filesystem::remove_all(folder_); }

 protected:
  EngineTest() {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-engine-test-XXXXXX").string();
    TESSERA_CHECK(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
    auto engine = OnnxEngine::create(topology_);
    TESSERA_CHECK(engine.ok());
    engine_ = std::move(engine).value();
  }

  std::filesystem::path save(const test_support::OnnxWriter& model, std::string_view name = "model.onnx") const {
    model.save(folder_ / name);
    return folder_ / name;
  }

  Result<std::unique_ptr<LoadedModel>> load(const test_support::OnnxWriter& model, std::int32_t max_batch_size = 8) {
    LoadOptions options;
    options.file = save(model);
    options.max_batch_size = max_batch_size;
    return engine_->load(options);
  }

  static const device::HostPlan& plan_for(LoadedModel& model, const Slice& slice = {0, 1}) {
    auto plan = model.prepare_home(1, LaneIndex{0}, slice);
    TESSERA_CHECK(plan.ok());
    return dynamic_cast<const device::HostPlan&>(**plan);
  }

  std::filesystem::path folder_;
  const device::HostTopology topology_ = device::HostTopology::of().value();
  std::unique_ptr<OnnxEngine> engine_;
};

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span<const T>(values));
}

// What `view` holds, as numbers.
template <typename T>
std::vector<T> numbers(const TensorView& view) {
  std::vector<T> out(view.data.size() / sizeof(T));
  if (!out.empty()) {
    std::memcpy(out.data(), view.data.data(), out.size() * sizeof(T));
  }
  return out;
}

inline Batch batch_of(std::int32_t rows, std::vector<BatchInput> inputs) {
  Batch batch;
  batch.rows = rows;
  batch.bucket = rows;
  batch.inputs = std::move(inputs);
  return batch;
}

// Length-prefixed elements.
inline std::vector<std::byte> encoded(const std::vector<std::string>& elements) {
  std::vector<std::byte> out;
  for (const std::string& element : elements) {
    for (int shift = 0; shift < 32; shift += 8) {
      out.push_back(static_cast<std::byte>(element.size() >> shift));
    }
    for (const char c : element) {
      out.push_back(static_cast<std::byte>(c));
    }
  }
  return out;
}

}  // namespace tessera::engine
