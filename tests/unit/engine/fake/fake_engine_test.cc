#include "engine/fake/fake_engine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "core/batch.h"
#include "device/fake/fake_plan.h"
#include "device/host/host_plan.h"
#include "engine/fake/fake_model_file.h"

namespace tessera::engine {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kModel =
    "tessera-fake 1\n"
    "input  INPUT0  INT32 [-1,4]   # rows of four\n"
    "input  TEXT    BYTES [-1,1]\n"
    "output OUTPUT0 INT32 [-1,4] copy INPUT0\n"
    "output SCORES  FP32  [-1,-1,3] zeros\n"
    "output LABELS  BYTES [-1,2] zeros\n"
    "latency 1 1 2000us\n"
    "latency 4 1 4ms\n"
    "latency 1 2 1000us\n";

class FakeEngineTest : public testing::Test {
 public:
  ~FakeEngineTest() override { std::filesystem::remove_all(folder_); }

 protected:
  FakeEngineTest() {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-fake-test-XXXXXX").string();
    TESSERA_CHECK(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
  }

  Result<std::unique_ptr<LoadedModel>> load(FakeEngine& engine, const std::string& text) const {
    std::ofstream(folder_ / "model.onnx") << text;
    LoadOptions options;
    options.file = folder_ / "model.onnx";
    options.max_batch_size = 8;
    return engine.load(options);
  }

  // One part a row; numbers from `first` on.
  Batch batch_of(std::int32_t rows, std::int32_t first) {
    numbers_.resize(static_cast<std::size_t>(rows) * 4);
    for (std::size_t i = 0; i < numbers_.size(); ++i) {
      numbers_[i] = first + static_cast<std::int32_t>(i);
    }
    texts_.assign(static_cast<std::size_t>(rows) * 4, std::byte{0});
    Batch batch;
    batch.rows = batch.bucket = rows;
    batch.inputs = {{DType::kInt32, {4}, {}}, {DType::kBytes, {1}, {}}};
    for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
      batch.inputs[0].parts.push_back(std::as_bytes(std::span(numbers_).subspan(row * 4, 4)));
      batch.inputs[1].parts.push_back(std::span<const std::byte>(texts_).subspan(row * 4, 4));
    }
    return batch;
  }

  static Result<const device::HostPlan*> host_plan(LoadedModel& model) {
    auto plan = model.prepare_home(1, LaneIndex{0}, {0, 1});
    if (!plan) {
      return plan.error();
    }
    return dynamic_cast<const device::HostPlan*>(*plan);
  }

  std::filesystem::path folder_;
  std::vector<std::int32_t> numbers_;
  std::vector<std::byte> texts_;
};

TEST_F(FakeEngineTest, AnswersAreCopiesAndZerosAfterTheTimeOfTheTable) {
  FakeEngine engine;
  auto model = load(engine, std::string(kModel)).value();
  EXPECT_EQ(model->signature().inputs[0].shape, (Shape{-1, 4}));
  for (const char* busy : {"", "busy spin\n"}) {
    model = load(engine, std::string(kModel) + busy).value();
    Batch batch = batch_of(4, 100);
    const TimePoint start = now();
    ASSERT_TRUE((*host_plan(*model))->run({0, 1}, batch).ok());
    EXPECT_GE(now() - start, milliseconds(4) - std::chrono::microseconds(1));  // the table rounds
    ASSERT_EQ(batch.outputs.size(), 3U);
    EXPECT_EQ(batch.outputs[0].shape, (Shape{4, 4}));
    EXPECT_EQ(std::memcmp(batch.outputs[0].data.data(), numbers_.data(), 64), 0);
    EXPECT_EQ(batch.outputs[1].shape, (Shape{4, 1, 3}));
    EXPECT_EQ(batch.outputs[1].data.size(), 48U);
    EXPECT_TRUE(check_bytes_tensor(batch.outputs[2].data, 8).ok());
  }
}

TEST_F(FakeEngineTest, TheFakeDeviceKeepsTheTimeItself) {
  FakeEngine engine(FakeEngine::Plans::kFakeDevice);
  auto model = load(engine, std::string(kModel)).value();
  const auto* plan = dynamic_cast<const device::FakePlan*>(*model->prepare_home(1, LaneIndex{0}, {0, 1}));
  ASSERT_NE(plan, nullptr);
  Batch batch = batch_of(1, 5);
  EXPECT_NEAR(static_cast<double>(plan->latency({0, 1}, batch)->count()), 2e6, 10.0);
  EXPECT_NEAR(static_cast<double>(plan->latency({0, 2}, batch)->count()), 1e6, 10.0);
  ASSERT_TRUE(plan->finish({0, 1}, batch).ok());
  EXPECT_EQ(batch.outputs[0].data.size(), 16U);
}

TEST_F(FakeEngineTest, FaultsOfTheFile) {
  FakeEngine engine;
  const auto broken = load(engine, std::string(kModel) + "fault load disk on fire\n");
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().message(), "disk on fire");

  auto model = load(engine, std::string(kModel) + "fault home no room\n").value();
  const auto home = host_plan(*model);
  ASSERT_FALSE(home.ok());
  EXPECT_EQ(home.error().message(), "no room");

  model = load(engine, std::string(kModel) + "fault run 13 bad luck\nfault lost 99 bus error\n").value();
  const auto* plan = *host_plan(*model);
  Batch batch = batch_of(1, 13);
  Status status = plan->run({0, 1}, batch);
  EXPECT_EQ(status.error().message(), "bad luck");
  EXPECT_EQ(status.error().code(), ErrorCode::kInternal);
  batch = batch_of(1, 99);
  EXPECT_EQ(plan->run({0, 1}, batch).error().code(), ErrorCode::kDeviceLost);
  batch = batch_of(1, 14);
  EXPECT_TRUE(plan->run({0, 1}, batch).ok());

  model = load(engine, std::string(kModel) + "fault refuse\n").value();
  EXPECT_EQ(*host_plan(*model), nullptr);
}

TEST_F(FakeEngineTest, FaultsOnDemandHitOnce) {
  FakeEngine engine;
  engine.faults().fail_next_load(Error(ErrorCode::kInternal, "once"));
  EXPECT_FALSE(load(engine, std::string(kModel)).ok());
  auto model = load(engine, std::string(kModel)).value();
  const auto* plan = *host_plan(*model);
  engine.faults().fail_next_run(Error(ErrorCode::kInternal, "once"));
  Batch batch = batch_of(1, 1);
  EXPECT_FALSE(plan->run({0, 1}, batch).ok());
  EXPECT_TRUE(plan->run({0, 1}, batch).ok());
}

TEST_F(FakeEngineTest, LoadingTakesItsTime) {
  FakeEngine engine;
  const TimePoint start = now();
  auto model = load(engine, std::string(kModel) + "load_time 20ms\nhome_time 5ms\n").value();
  ASSERT_TRUE(host_plan(*model).ok());
  EXPECT_GE(now() - start, milliseconds(25));
}

TEST(FakeModelFileTest, MistakesAreNamedWithTheirLine) {
  const std::string head = "tessera-fake 1\n";
  const std::string good = head + "input A INT32 [4]\noutput B INT32 [4] copy A\n";
  ASSERT_TRUE(parse_fake_model(good).ok());
  for (const std::string& text : {std::string(),
                                  std::string("\x08\x01 an ONNX file"),
                                  head,
                                  head + "input A INT32 [4]\n",
                                  head + "input A INT33 [4]\n",
                                  head + "input A INT32 4\n",
                                  head + "input A INT32 [4,x]\n",
                                  head + "input A INT32 [-2]\n",
                                  head + "input A INT32 [4] more\n",
                                  good + "output C INT32 [4]\n",
                                  good + "output C INT32 [4] copy Z\n",
                                  good + "output C FP32 [4] copy A\n",
                                  good + "latency 0 1 5us\n",
                                  good + "latency 1 1 5\n",
                                  good + "latency 1 1 99999999999999us\n",
                                  good + "busy bee\n",
                                  good + "colour blue\n",
                                  good + "fault run x\n",
                                  good + "fault run 256 x\n",
                                  good + "fault moon\n",
                                  good + "load_time soon\n",
                                  good + std::string(kMaxFakeModelBytes, '\n')}) {
    const auto parsed = parse_fake_model(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalidArgument) << text;
  }
  EXPECT_NE(parse_fake_model(good + "busy bee\n").error().message().find("line 4"), std::string::npos);
}

// As engines on gpus: what is heavy is done once for a bucket and lane, what is cheap for each slice.
TEST_F(FakeEngineTest, ACapturingModelRunsWhereItIsHomedAndNowhereElse) {
  FakeEngine engine;
  const auto model = load(engine, std::string(kModel) + "captures\nfault capture 4 no memory\n");
  ASSERT_TRUE(model.ok());
  EXPECT_TRUE((*model)->homes_cheaply());
  const Slice slice{0, 1};
  EXPECT_EQ((*model)->home(2, LaneIndex{0}, slice).error().code(), ErrorCode::kUnavailable);
  ASSERT_TRUE((*model)->capture(2, LaneIndex{0}).ok());
  EXPECT_EQ((*model)->home(2, LaneIndex{1}, slice).error().code(), ErrorCode::kUnavailable);
  const auto plan = (*model)->home(2, LaneIndex{0}, slice);
  ASSERT_TRUE(plan.ok());
  const auto& host = dynamic_cast<const device::HostPlan&>(**plan);
  Batch batch = batch_of(2, 1);
  EXPECT_TRUE(host.run(slice, batch).ok());
  Batch other = batch_of(1, 1);
  EXPECT_FALSE(host.run(slice, other).ok()) << "another bucket";
  Batch elsewhere = batch_of(2, 1);
  EXPECT_FALSE(host.run({1, 1}, elsewhere).ok()) << "another slice";
  (*model)->drop_home(2, LaneIndex{0}, slice);
  Batch dropped = batch_of(2, 1);
  EXPECT_FALSE(host.run(slice, dropped).ok());
  EXPECT_EQ((*model)->capture(8, LaneIndex{0}).error().message(), "no memory");
  EXPECT_TRUE((*model)->capture(1, LaneIndex{0}).ok());
}

TEST_F(FakeEngineTest, ALaneIsForOneAtATime) {
  FakeEngine engine;
  const auto model = load(engine, std::string(kModel) + "captures\ncapture_time 300ms\nlatency 1 1 300ms\n");
  ASSERT_TRUE(model.ok());
  ASSERT_TRUE((*model)->capture(1, LaneIndex{0}).ok());
  const auto plan = (*model)->home(1, LaneIndex{0}, {0, 1});
  ASSERT_TRUE(plan.ok());
  Status beside;
  Batch batch = batch_of(1, 1);
  std::thread runner([&] { beside = dynamic_cast<const device::HostPlan&>(**plan).run({0, 1}, batch); });
  std::this_thread::sleep_for(milliseconds(20));
  const Status captured = (*model)->capture(2, LaneIndex{0});
  runner.join();
  EXPECT_NE(captured.ok(), beside.ok());
}

}  // namespace
}  // namespace tessera::engine
