// That a model on a card answers what it answers on the host, in every slice and lane with the same bits.
#include <array>
#include <cmath>
#include <string_view>

#include "device/host/host_plan.h"
#include "engine/onnxruntime/onnx_engine.h"
#include "tests/gpu/engine/cuda_fixture.h"

namespace tessera::engine {
namespace {

std::vector<float> floats(const std::vector<std::byte>& bytes) {
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

TEST_F(CudaEngineTest, AnswersAsTheHostDoes) {
  const auto model = load(image_model());
  ASSERT_NE(model, nullptr);
  const auto on_card = floats(run(home(*model, 4, 0, shape().whole()), shape().whole(), images(4, 4, 1)));

  const auto topology = device::HostTopology::of();
  ASSERT_TRUE(topology.ok());
  auto host_engine = OnnxEngine::create(*topology);
  ASSERT_TRUE(host_engine.ok());
  auto host_model = (*host_engine)->load(options_for(image_model()));
  ASSERT_TRUE(host_model.ok());
  const auto plan = (*host_model)->prepare_home(4, {0}, {0, 1});
  ASSERT_TRUE(plan.ok());
  TestBatch made = images(4, 4, 1, false);
  ASSERT_TRUE(dynamic_cast<const device::HostPlan&>(**plan).run({0, 1}, made.batch).ok());
  const auto on_host = floats(bytes_of(made.batch));

  ASSERT_EQ(on_card.size(), 40U);
  ASSERT_EQ(on_host.size(), on_card.size());
  for (std::size_t i = 0; i < on_host.size(); ++i) {
    EXPECT_NEAR(on_card[i], on_host[i], 0.01F * std::max(1.0F, std::abs(on_host[i]))) << i;
  }
}

TEST_F(CudaEngineTest, EverySliceAndLaneGivesTheSameBits) {
  const auto model = load(image_model());
  ASSERT_NE(model, nullptr);
  for (const std::int32_t bucket : {1, 2, 4}) {
    const auto expected = run(home(*model, bucket, 0, shape().whole()), shape().whole(), images(bucket, bucket, 3));
    for (std::uint16_t lane = 0; lane < 2; ++lane) {
      for (const Slice& slice : full_slices()) {
        const device::Plan* plan = home(*model, bucket, lane, slice);
        ASSERT_NE(plan, nullptr);
        EXPECT_EQ(run(plan, slice, images(bucket, bucket, 3)), expected)
            << "bucket " << bucket << " lane " << lane << " slice " << slice.first << "+" << slice.count;
      }
    }
  }
}

TEST_F(CudaEngineTest, APaddedBatchAnswersItsOwnRows) {
  const auto model = load(image_model());
  ASSERT_NE(model, nullptr);
  const Slice slice = shape().whole();
  const device::Plan* plan = home(*model, 4, 0, slice);
  ASSERT_NE(plan, nullptr);
  const auto full = run(plan, slice, images(4, 4, 5));
  const auto some = run(plan, slice, images(3, 4, 5));
  ASSERT_EQ(some.size(), full.size() / 4 * 3);
  EXPECT_TRUE(std::equal(some.begin(), some.end(), full.begin()));
  EXPECT_EQ(run(plan, slice, images(3, 4, 5, false)), some) << "from memory that is not pinned";
}

TEST_F(CudaEngineTest, SmallInputsAreReadWhereTheyLie) {
  const auto model = load(test_support::add_sub_model(true), 8);
  ASSERT_NE(model, nullptr);
  const Slice slice = shape().ladder.front();
  std::vector<std::int32_t> a(2 * 16);
  std::vector<std::int32_t> b(2 * 16);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<std::int32_t>(i * 1000003);
    b[i] = static_cast<std::int32_t>(7 - i * 31);
  }
  Batch batch;
  batch.rows = 2;
  batch.bucket = 8;
  for (const auto* values : {&a, &b}) {
    batch.inputs.push_back({DType::kInt32, {16}, {std::as_bytes(std::span<const std::int32_t>(*values))}});
  }
  const device::Plan* plan = home(*model, 8, 0, slice);
  ASSERT_NE(plan, nullptr);
  const auto took = device_->run_borrowed(*plan, slice, batch);
  ASSERT_TRUE(took.ok()) << took.error().message();
  ASSERT_EQ(batch.outputs.size(), 2U);
  EXPECT_EQ(batch.outputs[0].shape, (Shape{2, 16}));
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::int32_t sum = 0;
    std::memcpy(&sum, batch.outputs[0].data.data() + 4 * i, 4);
    EXPECT_EQ(sum, a[i] + b[i]);
  }
}

// Two batches at once, each time in other slices, lanes and with other rows.
TEST_F(CudaEngineTest, LanesRunAtOnceWithoutTouchingEachOther) {
  const auto model = load(image_model());
  ASSERT_NE(model, nullptr);
  constexpr int kRounds = 2000;
  constexpr std::size_t kInputs = 8;
  const std::vector<std::int32_t> buckets{1, 2, 4};
  const std::vector<Slice> ladder = full_slices();
  std::map<std::pair<std::int32_t, std::uint32_t>, std::vector<std::byte>> expected;
  std::map<std::tuple<std::int32_t, std::uint16_t, std::size_t>, const device::Plan*> plans;
  for (const std::int32_t bucket : buckets) {
    for (std::uint16_t lane = 0; lane < 2; ++lane) {
      for (std::size_t i = 0; i < ladder.size(); ++i) {
        plans[{bucket, lane, i}] = home(*model, bucket, lane, ladder[i]);
      }
    }
    for (std::uint32_t seed = 0; seed < kInputs; ++seed) {
      expected[{bucket, seed}] =
          run(plans.at({bucket, 0, ladder.size() - 1}), ladder.back(), images(bucket, bucket, seed));
    }
  }
  std::mt19937 random(11);
  std::uint64_t next = 1;
  int wrong = 0;
  for (int round = 0; round < kRounds; ++round) {
    struct Running {
      device::Launch launch;
      TestBatch made;
      std::int32_t bucket;
      std::uint32_t seed;
    };
    std::vector<Running> running(2);
    for (std::uint16_t lane = 0; lane < 2; ++lane) {
      Running& one = running[lane];
      one.bucket = buckets[random() % buckets.size()];
      one.seed = random() % kInputs;
      const std::size_t slice = random() % ladder.size();
      one.made = images(one.bucket, one.bucket, one.seed);
      one.launch.id = {next++};
      one.launch.instance = {1};
      one.launch.lane = {lane};
      one.launch.slice = ladder[slice];
      one.launch.plan = plans.at({one.bucket, lane, slice});
      one.launch.batch = &one.made.batch;
    }
    for (Running& one : running) {
      ASSERT_TRUE(device_->launch(one.launch).ok());
    }
    for (Running& one : running) {
      const device::Completion completion = completions_.wait_for(one.launch.id);
      ASSERT_TRUE(completion.status.ok()) << completion.status.error().message();
      wrong += bytes_of(one.made.batch) == expected.at({one.bucket, one.seed}) ? 0 : 1;
      device_->retire(one.launch.id);
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST_F(CudaEngineTest, ALaneTakesOneBatchAtATime) {
  const auto model = load(image_model());
  ASSERT_NE(model, nullptr);
  const Slice& slice = shape().ladder.front();
  const device::Plan* plan = home(*model, 4, 0, slice);
  ASSERT_NE(plan, nullptr);
  std::vector<TestBatch> made;
  for (std::uint32_t i = 0; i < 2; ++i) {
    made.push_back(images(4, 4, i));
  }
  int failed = 0;
  for (std::uint64_t id = 1; id <= 2; ++id) {
    device::Launch launch;
    launch.id = {id};
    launch.instance = {1};
    launch.slice = slice;
    launch.plan = plan;
    launch.batch = &made[id - 1].batch;
    ASSERT_TRUE(device_->launch(launch).ok());
  }
  for (std::uint64_t id = 1; id <= 2; ++id) {
    failed += completions_.wait_for({id}).status.ok() ? 0 : 1;
    device_->retire({id});
  }
  EXPECT_EQ(failed, 1);
}

TEST_F(CudaEngineTest, WeightsExistOnceHoweverManySessions) {
  const auto model = load(image_model(), 16);
  ASSERT_NE(model, nullptr);
  ASSERT_NE(home(*model, 1, 0, shape().whole()), nullptr);
  const MemoryUse one = model->memory();
  for (const std::int32_t bucket : {1, 2, 4, 8, 16}) {
    for (const std::uint16_t lane : {0, 1}) {
      ASSERT_NE(home(*model, bucket, lane, shape().whole()), nullptr);
    }
  }
  const MemoryUse all = model->memory();
  EXPECT_GT(one.weights.value, 0U);
  EXPECT_EQ(all.weights, one.weights);
  EXPECT_LE(static_cast<double>(all.weights.value + all.packed.value),
            1.1 * static_cast<double>(one.weights.value + one.packed.value));
  EXPECT_GT(all.working.value, one.working.value) << "lanes have their own";
}

// Small constants, all of one size: each session loads them in an order of its own.
TEST_F(CudaEngineTest, ConstantsOfOneBatchSizeAreNotThoseOfAnother) {
  constexpr int kSteps = 24;
  test_support::OnnxWriter steps;
  steps.input("image", DType::kFp32, {"batch", 3, kSide, kSide})
      .output("scores", DType::kFp32, {"batch", 3, kSide, kSide});
  std::string last = "image";
  for (int step = 0; step < kSteps; ++step) {
    std::array<float, 3> values{};
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(step + 1) / static_cast<float>(i + 2);
    }
    const std::string constant = "c" + std::to_string(step);
    const std::string next = step + 1 == kSteps ? "scores" : "t" + std::to_string(step);
    steps.initializer(constant, DType::kFp32, {3, 1, 1},
                      std::string_view(reinterpret_cast<const char*>(values.data()), sizeof values));
    steps.node(step % 2 == 0 ? "Add" : "Sub", {constant, last}, {next});
    last = next;
  }
  const auto model = load(steps, 16);
  ASSERT_NE(model, nullptr);
  const device::Plan* const first = home(*model, 1, 0, shape().whole());
  const auto expected = run(first, shape().whole(), images(1, 1, 3));
  for (const std::int32_t bucket : {2, 4, 8, 16}) {
    ASSERT_NE(home(*model, bucket, 0, shape().whole()), nullptr);
    EXPECT_EQ(run(first, shape().whole(), images(1, 1, 3)), expected) << "once batches of " << bucket << " are there";
  }
}

TEST_F(CudaEngineTest, AModelOverItsLimitIsRefusedByName) {
  LoadOptions options = options_for(image_model());
  options.memory_limit = Bytes{1U << 20};
  const auto loaded = engine_->load(options);
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.error().message().find("memory_limit_mb"), std::string::npos) << loaded.error().message();
}

// Whatever it is that finds no room, a first run or a capture: what is launched with an address of 0 would take the
// whole card down.
TEST_F(CudaEngineTest, WhereMemoryDoesNotSufficeTheModelFailsAndTheCardGoesOn) {
  const auto beside = load(image_model());
  ASSERT_NE(beside, nullptr);
  const auto expected = run(home(*beside, 4, 0, shape().whole()), shape().whole(), images(4, 4, 1));
  LoadOptions options = options_for(image_model());
  options.max_batch_size = 32;
  int failed = 0;
  for (std::uint64_t limit = 2U << 20; limit < (256U << 20); limit += limit / 2) {
    options.memory_limit = Bytes{limit};
    const auto limited = engine_->load(options);
    Status status = limited.ok() ? ok_status() : Status(limited.error());
    for (const std::int32_t bucket : {1, 32}) {
      if (status.ok()) {
        const auto plan = (*limited)->prepare_home(bucket, {0}, shape().whole());
        status = plan.ok() ? ok_status() : Status(plan.error());
      }
    }
    if (!status.ok()) {
      ++failed;
      EXPECT_NE(status.error().message().find("memory_limit_mb"), std::string::npos)
          << limit << ": " << status.error().message();
    }
    ASSERT_EQ(run(home(*beside, 4, 0, shape().whole()), shape().whole(), images(4, 4, 1)), expected) << limit;
  }
  EXPECT_GT(failed, 0);
}

// Requests give what the model has as FP16 in other forms, whether its bytes are copied ahead, at launch, or not at
// all.
TEST_F(CudaEngineTest, InputsAreConvertedOnTheirWay) {
  for (const std::int64_t side : {8, 64}) {
    test_support::OnnxWriter model;
    model.input("image", DType::kFp16, {"batch", 3, side, side}).output("out", DType::kFp32, {"batch", 3, side, side});
    model.node("Cast", {"image"}, {"out"}, {test_support::OnnxAttribute::integer("to", 1)});
    const std::size_t plane = static_cast<std::size_t>(side * side);
    for (const InputForm form : {InputForm{DType::kFp32, false}, InputForm{DType::kFp32, true},
                                 InputForm{DType::kUint8, false}, InputForm{DType::kUint8, true}}) {
      LoadOptions options = options_for(model);
      options.input_forms = {{"image", form}};
      const auto loaded = engine_->load(options);
      ASSERT_TRUE(loaded.ok()) << loaded.error().message();
      const Slice& slice = shape().ladder.front();
      const device::Plan* plan = home(**loaded, 4, 0, slice);
      ASSERT_NE(plan, nullptr);
      const std::size_t values = 3 * 3 * plane;  // of three rows, the second and third in one part
      const std::size_t size = size_of(form.dtype);
      auto block = device_->staging().lease({values * size});
      ASSERT_TRUE(block.ok());
      std::vector<float> expected(values);
      for (std::size_t i = 0; i < values; ++i) {
        const std::size_t row = i / (3 * plane);
        const std::size_t in_row = i % (3 * plane);
        const std::size_t to = form.channels_last ? in_row % 3 * plane + in_row / 3 : in_row;
        const auto value = static_cast<std::uint8_t>(i * 7 + i / 251);
        expected[row * 3 * plane + to] = value;
        const float as_float = value;
        std::memcpy((*block)->bytes().data() + i * size,
                    form.dtype == DType::kFp32 ? static_cast<const void*>(&as_float) : &value, size);
      }
      Batch batch{.rows = 3, .bucket = 4, .inputs = {}, .outputs = {}, .output_memory = {}};
      const std::span<const std::byte> all = (*block)->bytes().first(values * size);
      const Shape row = form.channels_last ? Shape{side, side, 3} : Shape{3, side, side};
      batch.inputs.push_back({form.dtype, row, {all.first(values / 3 * size), all.subspan(values / 3 * size)}});
      const auto took = device_->run_borrowed(*plan, slice, batch);
      ASSERT_TRUE(took.ok()) << took.error().message();
      EXPECT_EQ(floats(bytes_of(batch)), expected) << protocol_name(form.dtype) << form.channels_last << " " << side;
    }
  }
}

TEST_F(CudaEngineTest, FreeDimensionsAreRefusedByName) {
  test_support::OnnxWriter model;
  model.input("text", DType::kFp32, {"batch", "length"}).output("out", DType::kFp32, {"batch", "length"});
  model.node("Relu", {"text"}, {"out"});
  const auto loaded = engine_->load(options_for(model));
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code(), ErrorCode::kUnsupported);
  EXPECT_NE(loaded.error().message().find("'text'"), std::string::npos) << loaded.error().message();
}

}  // namespace
}  // namespace tessera::engine
