// The CUDA engine on the first card, with small models that the tests write themselves.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/log.h"
#include "device/cuda/cuda_device.h"
#include "engine/onnxruntime/cuda/cuda_engine.h"
#include "tests/support/onnx_writer.h"
#include "tests/support/random_load.h"

namespace tessera::engine {

// One request's rows, with memory that is pinned or not.
struct TestBatch {
  std::vector<std::vector<std::byte>> plain;
  std::vector<std::unique_ptr<device::StagingBlock>> pinned;
  Batch batch;
};

class CudaEngineTest : public testing::Test {
 protected:
  static constexpr std::int64_t kSide = 64;

  void SetUp() override {
    set_up_log(LogFormat::kText, LogLevel::kInfo);  // what an engine says is kept of a test that fails
    const auto driver = device::Driver::open();
    if (!driver.ok()) {
      GTEST_SKIP() << driver.error().message();
    }
    auto gpu = device::Gpu::open(*driver, 0);
    ASSERT_TRUE(gpu.ok()) << gpu.error().message();
    auto device = device::make_cuda_device(*gpu, device_options());
    ASSERT_TRUE(device.ok()) << device.error().message();
    device_ = *std::move(device);
    device_->set_sink(completions_);
    ASSERT_TRUE(device_->become_loader_thread().ok());
    auto engine = CudaEngine::create(*device_);
    if (!engine.ok() && engine.error().code() == ErrorCode::kUnavailable) {
      GTEST_SKIP() << engine.error().message();
    }
    ASSERT_TRUE(engine.ok()) << engine.error().message();
    engine_ = *std::move(engine);
    std::string name = (std::filesystem::temp_directory_path() / "tessera-gpu-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    engine_.reset();
    device_.reset();
    if (!folder_.empty()) {
      std::filesystem::remove_all(folder_);
    }
  }

  // The whole first card, unless a test wants others beside it.
  virtual device::CudaOptions device_options() const {
    device::CudaOptions options;
    options.spec = {.gpu = 0, .atoms = std::nullopt};
    return options;
  }

  LoadOptions options_for(const test_support::OnnxWriter& model, std::int32_t max_batch_size = 4) const {
    model.save(folder_ / "model.onnx");
    LoadOptions options;
    options.file = folder_ / "model.onnx";
    options.max_batch_size = max_batch_size;
    return options;
  }
  std::unique_ptr<LoadedModel> load(const test_support::OnnxWriter& model, std::int32_t max_batch_size = 4) {
    auto loaded = engine_->load(options_for(model, max_batch_size));
    EXPECT_TRUE(loaded.ok()) << loaded.error().message();
    return loaded.ok() ? *std::move(loaded) : nullptr;
  }
  // Nothing, and no failure, where the slice cannot hold the model's kernels.
  static const device::Plan* home_if_possible(LoadedModel& model, std::int32_t bucket, std::uint16_t lane,
                                              const Slice& slice) {
    const auto plan = model.prepare_home(bucket, {lane}, slice);
    if (!plan.ok() && plan.error().code() == ErrorCode::kUnsupported) {
      return nullptr;
    }
    EXPECT_TRUE(plan.ok()) << plan.error().message();
    return plan.ok() ? *plan : nullptr;
  }
  static const device::Plan* home(LoadedModel& model, std::int32_t bucket, std::uint16_t lane, const Slice& slice) {
    const auto plan = model.prepare_home(bucket, {lane}, slice);
    EXPECT_TRUE(plan.ok()) << plan.error().message();
    return plan.ok() ? *plan : nullptr;
  }
  // The ladder's slices that hold no left-over processors.
  std::vector<Slice> full_slices() const {
    std::vector<Slice> slices;
    for (const Slice& slice : shape().ladder) {
      if (slice != Slice{static_cast<std::uint16_t>(shape().atoms() - 1), 1}) {
        slices.push_back(slice);
      }
    }
    return slices;
  }
  const DeviceShape& shape() const { return device_->shape(); }

  static std::string random_weights(std::mt19937& random, std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) {
      const float value = static_cast<float>(static_cast<std::int32_t>(random())) / 2147483648.0F * 0.3F;
      out.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    return out;
  }

  // Two convolutions, pooling and a product: [batch,3,side,side] -> [batch,10].
  static test_support::OnnxWriter image_model(std::uint32_t seed = 7) {
    std::mt19937 random(seed);
    const auto floats = [&](std::size_t count) { return random_weights(random, count); };
    test_support::OnnxWriter model;
    model.input("image", DType::kFp32, {"batch", 3, kSide, kSide}).output("scores", DType::kFp32, {"batch", 10});
    model.initializer("w1", DType::kFp32, {32, 3, 3, 3}, floats(32 * 27))
        .initializer("b1", DType::kFp32, {32}, floats(32));
    model.initializer("w2", DType::kFp32, {64, 32, 3, 3}, floats(64 * 32 * 9));
    model.initializer("w3", DType::kFp32, {64, 10}, floats(640)).initializer("b3", DType::kFp32, {10}, floats(10));
    using A = test_support::OnnxAttribute;
    model.node("Conv", {"image", "w1", "b1"}, {"c1"}, {A::integers("pads", {1, 1, 1, 1})}).node("Relu", {"c1"}, {"r1"});
    model.node("Conv", {"r1", "w2"}, {"c2"}, {A::integers("pads", {1, 1, 1, 1}), A::integers("strides", {2, 2})});
    model.node("Relu", {"c2"}, {"r2"}).node("GlobalAveragePool", {"r2"}, {"p"}).node("Flatten", {"p"}, {"f"});
    model.node("Gemm", {"f", "w3", "b3"}, {"scores"});
    return model;
  }

  // With outputs of 256 KB a row.
  static test_support::OnnxWriter map_model(std::uint32_t seed = 7) {
    std::mt19937 random(seed);
    test_support::OnnxWriter model;
    model.input("image", DType::kFp32, {"batch", 3, kSide, kSide}).output("map", DType::kFp32, {"batch", 16, 64, 64});
    model.initializer("w1", DType::kFp32, {16, 3, 3, 3}, random_weights(random, 16 * 27));
    using A = test_support::OnnxAttribute;
    model.node("Conv", {"image", "w1"}, {"c1"}, {A::integers("pads", {1, 1, 1, 1})}).node("Relu", {"c1"}, {"map"});
    return model;
  }

  // `rows` requests of one row each.
  TestBatch images(std::int32_t rows, std::int32_t bucket, std::uint32_t seed, bool pinned = true) {
    TestBatch made;
    made.batch.rows = rows;
    made.batch.bucket = bucket;
    BatchInput input{DType::kFp32, {3, kSide, kSide}, {}};
    std::mt19937 random(seed);
    for (std::int32_t row = 0; row < rows; ++row) {
      std::vector<float> values(3 * kSide * kSide);
      for (float& value : values) {
        value = static_cast<float>(random() % 2001) / 1000.0F - 1.0F;
      }
      const auto bytes = std::as_bytes(std::span<const float>(values));
      if (pinned) {
        auto block = device_->staging().lease({bytes.size()});
        TESSERA_CHECK(block.ok());
        std::memcpy((*block)->bytes().data(), bytes.data(), bytes.size());
        input.parts.push_back((*block)->bytes().first(bytes.size()));
        made.pinned.push_back(*std::move(block));
      } else {
        made.plain.emplace_back(bytes.begin(), bytes.end());
        input.parts.emplace_back(made.plain.back());
      }
    }
    made.batch.inputs.push_back(std::move(input));
    return made;
  }

  static std::vector<std::byte> bytes_of(const Batch& batch) {
    std::vector<std::byte> all;
    for (const TensorView& output : batch.outputs) {
      all.insert(all.end(), output.data.begin(), output.data.end());
    }
    return all;
  }
  std::vector<std::byte> run(const device::Plan* plan, const Slice& slice, TestBatch made) {
    const auto took = device_->run_borrowed(*plan, slice, made.batch);
    EXPECT_TRUE(took.ok()) << took.error().message();
    return bytes_of(made.batch);
  }

  Completions completions_;
  std::unique_ptr<device::CudaDevice> device_;
  std::unique_ptr<CudaEngine> engine_;
  std::filesystem::path folder_;
};

}  // namespace tessera::engine
