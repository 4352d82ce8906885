#include "model/measure.h"

#include <gtest/gtest.h>

#include "model/synthetic.h"
#include "tests/unit/model/fakes.h"

namespace tessera::model {
namespace {

TEST(Synthetic, FreeDimensionsBecomeSensible) {
  EXPECT_EQ(concrete_row({3, -1, -1}, 224), (Shape{3, 224, 224}));
  EXPECT_EQ(concrete_row({3, 48, -1}, 224), (Shape{3, 48, 224}));
  EXPECT_EQ(concrete_row({-1, -1, 3}, 224), (Shape{224, 224, 3}));
  EXPECT_EQ(concrete_row({-1, 3, -1, -1}, 224), (Shape{1, 3, 224, 224}));
  EXPECT_EQ(concrete_row({-1, 512}, 224), (Shape{16, 512}));
  EXPECT_EQ(concrete_row({-1}, 1), (Shape{1}));
  EXPECT_EQ(concrete_row({}, 224), (Shape{}));
  EXPECT_EQ(concrete_row({7, 0}, 224), (Shape{7, 0}));
}

TEST(Synthetic, BatchesHaveTheRightBytes) {
  ModelSignature signature;
  signature.inputs = {{"a", DType::kFp32, {2}},
                      {"b", DType::kBytes, {3}},
                      {"c", DType::kInt64, {}},
                      {"d", DType::kFp16, {5}},
                      {"e", DType::kBf16, {1}}};
  auto made = synthetic_batch(signature, 3, 4, 224);
  ASSERT_TRUE(made.ok());
  Batch& batch = made->batch();
  EXPECT_EQ(batch.rows, 3);
  EXPECT_EQ(batch.bucket, 4);
  ASSERT_EQ(batch.inputs.size(), 5U);
  for (const BatchInput& input : batch.inputs) {
    ASSERT_EQ(input.parts.size(), 1U);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(input.parts[0].data()) % 64, 0U);
  }
  EXPECT_EQ(batch.inputs[0].parts[0].size(), 3 * 2 * 4U);
  EXPECT_TRUE(check_bytes_tensor(batch.inputs[1].parts[0], 9).ok());
  EXPECT_EQ(batch.inputs[2].parts[0].size(), 3 * 8U);
  const float* values = reinterpret_cast<const float*>(batch.inputs[0].parts[0].data());
  for (int i = 0; i < 6; ++i) {
    EXPECT_GE(values[i], 0);
    EXPECT_LT(values[i], 1);
  }
  const std::vector<std::byte> before(batch.inputs[2].parts[0].begin(), batch.inputs[2].parts[0].end());
  FakeDevice::HeapStaging pool;
  made->move_to(pool);
  const auto moved = batch.inputs[2].parts[0];
  EXPECT_TRUE(std::equal(before.begin(), before.end(), moved.begin(), moved.end()));
  EXPECT_GE(moved.data(), pool.last.data());
  EXPECT_LE(moved.data() + moved.size(), pool.last.data() + pool.last.size());
  signature.inputs = {{"a", DType::kFp32, {1 << 20, 1 << 20}}};
  EXPECT_EQ(synthetic_batch(signature, 1, 1, 224).error().code(), ErrorCode::kTooLarge);
}

TEST_F(LifecycleTest, AProfileHasPointsOnOneCoreAndOnAll) {
  repository.write("m/1/model.onnx", "batched");
  begin(ControlMode::kNone);
  const auto points = host.profiles["m"].points();
  ASSERT_EQ(points.size(), 6U);
  const auto latency = [&](std::int32_t bucket, std::int32_t processors) {
    const auto found = std::find_if(points.begin(), points.end(), [&](const sched::ProfilePoint& point) {
      return point.bucket == bucket && point.processors == processors;
    });
    return found == points.end() ? 0 : std::chrono::round<std::chrono::microseconds>(found->latency).count();
  };
  EXPECT_EQ(latency(1, 1), 1000);
  EXPECT_EQ(latency(4, 1), 4000);
  EXPECT_EQ(latency(8, 1), 8000);
  EXPECT_EQ(latency(8, 4), 2000);
  // Every measured slice was the one borrowed.
  for (const std::string& run : host.journal.events("run ")) {
    EXPECT_TRUE(run.find("on 0+4") != std::string::npos || run.find("on 3+1") != std::string::npos ||
                run.rfind("run 1 on", 0) == 0)
        << run;
  }
}

TEST_F(LifecycleTest, FreeDimensionsAreTriedAndAMisfitIsNoFailure) {
  repository.write("m/1/model.onnx", "free");
  host.device().run = [](const Slice&, Batch& batch) {
    return batch.inputs[0].row_shape[1] == 32 ? ok_status() : Status(invalid_argument("sides must be 32"));
  };
  begin(ControlMode::kExplicit);
  ASSERT_TRUE(load("m").ok());
  EXPECT_FALSE(host.profiles["m"].points().empty());
  repository.write("n/1/model.onnx", "free");
  ASSERT_TRUE(lifecycle->settled(std::chrono::seconds(10)));  // slices are homed behind the load, and run there
  host.device().run = [](const Slice&, Batch&) { return Status(invalid_argument("never")); };
  ASSERT_TRUE(load("n").ok());
  EXPECT_TRUE(host.profiles["n"].points().empty());
  // With every dimension given there is no excuse.
  repository.write("o/1/model.onnx", "fixed");
  EXPECT_EQ(text(load("o")),
            "invalid argument: load failed for model 'o': version 1 is at UNAVAILABLE state: the model does not run: "
            "never");
}

TEST_F(LifecycleTest, AModelThatOnlySeemsToBatchIsServedWithout) {
  repository.write("m/1/model.onnx", "batched");
  host.device().run = [](const Slice&, Batch& batch) {
    return batch.rows == 1 ? ok_status() : Status(invalid_argument("cannot reshape"));
  };
  begin(ControlMode::kExplicit);
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(host.serving("m")->signature.max_batch_size, 0);
  EXPECT_EQ(host.serving("m")->signature.inputs[0].shape, (Shape{-1, 16}));
  // Somebody who asks for batches is told.
  const Status asked = load(LoadRequest{"m", R"({"max_batch_size": 8})", {}});
  EXPECT_EQ(text(asked),
            "invalid argument: load failed for model 'm': version 1 is at UNAVAILABLE state: max_batch_size: one row "
            "runs, 8 do not: cannot reshape");
  host.device().run = [](const Slice&, Batch& batch) {
    batch.outputs = {{DType::kInt32, {17, 4}, {}}};  // as many rows as it likes
    return ok_status();
  };
  repository.write("n/1/model.onnx", "batched");
  ASSERT_TRUE(load("n").ok());
  EXPECT_EQ(host.serving("n")->signature.max_batch_size, 0);
}

TEST_F(LifecycleTest, ALostDeviceEndsTheLoad) {
  repository.write("m/1/model.onnx", "free");
  host.device().run = [](const Slice&, Batch&) { return Status(Error(ErrorCode::kDeviceLost, "smoke")); };
  begin(ControlMode::kNone);
  EXPECT_EQ(started.error().code(), ErrorCode::kDeviceLost);
  EXPECT_EQ(host.journal.count("run "), 1U);
}

TEST_F(LifecycleTest, WarmupSamplesAreRun) {
  const std::string sample =
      "model_warmup { name: \"w\" batch_size: 2 count: 3 inputs { key: \"x\" value { data_type: "
      "TYPE_FP32 dims: 16 input_data_file: \"x.bin\" } } }";
  repository.write("m/1/model.onnx", "batched");
  repository.write("m/config.pbtxt", "max_batch_size: 4 " + sample);
  begin(ControlMode::kExplicit);
  EXPECT_NE(text(load("m")).find("model_warmup 'w', input 'x': input_data_file"), std::string::npos);
  repository.write("m/warmup/x.bin", std::string(63, 'a'));
  EXPECT_NE(text(load("m")).find("has 63 bytes instead of 64"), std::string::npos);
  repository.write("m/warmup/x.bin", std::string(64, 'a'));
  int seen = 0;
  host.device().run = [&](const Slice&, Batch& batch) {
    const auto data = batch.inputs[0].parts[0];
    if (std::all_of(data.begin(), data.end(), [](std::byte b) { return b == std::byte{'a'}; })) {
      ++seen;
      EXPECT_EQ(batch.rows, 2);
      EXPECT_EQ(data.size(), 128U);
    }
    return ok_status();
  };
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(seen, 3);
  ASSERT_TRUE(lifecycle->settled(std::chrono::seconds(10)));  // who homes slices runs there
  host.device().run = [&](const Slice&, Batch& batch) {
    const bool warm = batch.inputs[0].parts[0][0] == std::byte{'a'};
    return warm ? Status(invalid_argument("too cold")) : ok_status();
  };
  repository.write("m/1/model.onnx", "batched\nnew");
  EXPECT_NE(text(load("m")).find("model_warmup 'w': too cold"), std::string::npos);
}

TEST_F(LifecycleTest, SlowModelsAreNotMeasuredAtLength) {
  host.device().per_row = std::chrono::milliseconds(400);
  repository.write("m/1/model.onnx", "batched");
  begin(ControlMode::kNone);
  EXPECT_TRUE(started.ok());
  EXPECT_EQ(host.journal.count("run 8"), 0U);
  EXPECT_EQ(host.journal.count("run 4"), 0U);
  EXPECT_EQ(host.profiles["m"].points().size(), 1U);
}

TEST_F(LifecycleTest, MeasuringBesideOthersNeverHoldsUpTheWholeDevice) {
  repository.write("a/1/model.onnx", "batched");
  repository.write("b/1/model.onnx", "batched");
  begin(ControlMode::kExplicit);
  ASSERT_TRUE(load("a").ok());
  ASSERT_TRUE(host.journal.wait("ready a ", host.device().shape().ladder.size()));
  const std::size_t before = host.journal.events("run ").size();
  host.device().per_row = std::chrono::milliseconds(60);
  ASSERT_TRUE(load("b").ok());
  ASSERT_TRUE(host.journal.wait("ready b ", host.device().shape().ladder.size()));
  const auto runs = host.journal.events("run ");
  EXPECT_GT(runs.size(), before);
  for (std::size_t i = before; i < runs.size(); ++i) {
    EXPECT_EQ(runs[i].substr(runs[i].find("on ")), "on 3+1");
  }
}

}  // namespace
}  // namespace tessera::model
