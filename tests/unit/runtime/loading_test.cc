// Plans that come and go while models serve, with every answer compared. The pretended models capture as engines on
// gpus do: a run in a slice that has no home, or beside another one in its lane, is an error.
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "device/fake/fake_device.h"
#include "engine/fake/fake_engine.h"
#include "runtime/service.h"
#include "support.h"

namespace tessera::runtime::test {
namespace {

namespace fs = std::filesystem;

// Small slices are the most efficient ones.
constexpr const char* kSmallSlicesEcho =
    "tessera-fake 1\n"
    "input INPUT0 INT32 [-1,4]\n"
    "output OUTPUT0 INT32 [-1,4] copy INPUT0\n"
    "latency 1 1 400us\n"
    "latency 1 8 300us\n"
    "latency 8 1 1600us\n"
    "latency 8 8 1000us\n"
    "captures\n";

class LoadingTest : public testing::Test {
 protected:
  static constexpr std::uint16_t kAtoms = 8;

  LoadingTest() {
    root_ = fs::temp_directory_path() / ("tessera-loading-" + std::to_string(::getpid()) + "-" +
                                         testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(root_);
  }
  ~LoadingTest() override { fs::remove_all(root_); }

  void model(const std::string& name, const std::string& more = "", const std::string& config = "",
             const std::string& version = "1") {
    fs::create_directories(root_ / name / version);
    std::ofstream(root_ / name / version / "model.onnx") << kSmallSlicesEcho << more;
    std::ofstream(root_ / name / "config.pbtxt") << "max_batch_size: 8\n" << config;
  }

  std::unique_ptr<Service> service(const std::function<void(ServiceOptions&)>& adjust = [](ServiceOptions&) {}) {
    ServiceOptions options;
    options.models.repositories = {root_};
    options.models.defaults.device_kind = "host";
    options.models.control = model::ControlMode::kExplicit;
    options.models.load_at_start = {"*"};
    adjust(options);
    device::FakeOptions fake;
    fake.atoms = kAtoms;
    fake.clock = device::FakeOptions::Clock::kReal;
    auto device = std::make_unique<device::FakeDevice>(fake);
    device_ = device.get();
    auto made = Service::create(std::move(options), std::move(device),
                                std::make_unique<engine::FakeEngine>(engine::FakeEngine::Plans::kFakeDevice));
    TESSERA_CHECK(made.ok());
    return std::move(made).value();
  }

  static Status wait_for(const std::function<void(std::function<void(Status)>)>& asked) {
    std::promise<Status> answer;
    asked([&](Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }
  static Status load(Service& service, const std::string& name) {
    return wait_for([&](auto done) { service.models().load({name, std::nullopt, {}}, std::move(done)); });
  }

  fs::path root_;
  device::FakeDevice* device_ = nullptr;
};

// Posts requests of one model, one after the other, from a few threads, and compares every answer with its request.
class Load {
 public:
  Load(Service& service, std::string name, std::int64_t most_rows = 1) : service_(service), name_(std::move(name)) {
    for (std::int32_t poster = 0; poster < 3; ++poster) {
      posters_.emplace_back([this, poster, most_rows] {
        for (std::int32_t i = 0; !stop_; ++i) {
          post(poster * 1'000'000 + i, 1 + i % most_rows);
        }
      });
    }
  }
  ~Load() { end(); }

  void end() {
    stop_ = true;
    for (std::thread& poster : posters_) {
      poster.join();
    }
    posters_.clear();
  }
  void expect_all_right() {
    end();
    EXPECT_GT(right_, 0);
    EXPECT_EQ(wrong_, 0) << first_error_;
  }
  int right() const { return right_; }

 private:
  void post(std::int32_t number, std::int64_t rows) {
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(rows) * 4);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = number + static_cast<std::int32_t>(i);
    }
    auto call = std::make_shared<TestCall>();
    call->request.model = name_;
    call->request.inputs = {{"INPUT0", {DType::kInt32, {rows, 4}, std::as_bytes(std::span(numbers))}}};
    service_.infer(call);
    const auto answer = call->wait();
    const bool good = answer.ok() && answer->outputs.size() == 1 &&
                      answer->outputs[0].tensor.data.size() == numbers.size() * 4 &&
                      std::memcmp(answer->outputs[0].tensor.data.data(), numbers.data(), numbers.size() * 4) == 0;
    (good ? right_ : wrong_) += 1;
    if (!good) {
      const std::lock_guard lock(mutex_);
      first_error_ = answer.ok() ? "another answer" : answer.error().message();
    }
  }

  Service& service_;
  const std::string name_;
  std::atomic<bool> stop_{false};
  std::atomic<int> right_{0};
  std::atomic<int> wrong_{0};
  std::mutex mutex_;
  std::string first_error_;
  std::vector<std::thread> posters_;
};

TEST_F(LoadingTest, HomesAreMadeWhereTheyAreWantedWhileAllServe) {
  for (const char* name : {"a", "b"}) {
    model(name, "home_time 1ms\n");
  }
  const auto s = service();
  const Status started = s->start();
  ASSERT_TRUE(started.ok()) << started.error().message();
  Load a(*s, "a");
  Load b(*s, "b");
  while (a.right() < 300 || b.right() < 300) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  a.expect_all_right();
  b.expect_all_right();
  // It was published with the whole device and the last atom; with these alone, the first atoms ran the same.
  std::set<std::uint64_t> counts;
  const auto statistics = s->statistics("a", 1);
  for (const auto& [atom, launches] : statistics->at(0).launches_by_atom) {
    if (atom.second + 1 < kAtoms) {
      counts.insert(launches);
    }
  }
  EXPECT_GT(counts.size(), 1U);
}

TEST_F(LoadingTest, HomesThatNobodyUsesMakeRoomForOthers) {
  for (const char* name : {"a", "b"}) {
    model(name);
  }
  // Of two models, four buckets and two lanes: sixteen in the whole device, sixteen in a small slice, six more.
  const auto s = service([](ServiceOptions& options) { options.max_homes = 38; });
  ASSERT_TRUE(s->start().ok());
  for (int round = 0; round < 2; ++round) {
    for (const char* name : {"a", "b"}) {
      Load load(*s, name, 8);
      const TimePoint end = now() + milliseconds(300);
      while (now() < end || load.right() < 50) {
        std::this_thread::sleep_for(milliseconds(5));
      }
      load.expect_all_right();
      std::this_thread::sleep_for(milliseconds(800));
    }
  }
}

TEST_F(LoadingTest, ModelsComeAndGoWhileTheirHomesAreMade) {
  for (const char* name : {"stays", "goes"}) {
    model(name, "home_time 2ms\n");
  }
  const auto s = service();
  ASSERT_TRUE(s->start().ok());
  Load stays(*s, "stays");
  for (int round = 0; round < 3; ++round) {
    {
      Load goes(*s, "goes");
      while (goes.right() < 20) {
        std::this_thread::sleep_for(milliseconds(1));
      }
      goes.expect_all_right();
    }
    ASSERT_TRUE(wait_for([&](auto done) { s->models().unload("goes", std::move(done)); }).ok());
    ASSERT_TRUE(load(*s, "goes").ok());
  }
  stays.expect_all_right();
}

constexpr const char* kSlowToMake = "build_time 20ms\ncapture_time 5ms\n";

TEST_F(LoadingTest, BucketsComeWhileTheModelServesAndEveryAnswerIsRight) {
  model("grows", kSlowToMake);
  model("beside", kSlowToMake);
  const auto s = service([](ServiceOptions& options) { options.models.load_at_start = {"grows"}; });
  ASSERT_TRUE(s->start().ok());
  Load small(*s, "grows");
  Load large(*s, "grows", 8);  // some wait for their bucket
  while (small.right() < 20) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  ASSERT_TRUE(load(*s, "beside").ok());
  Load beside(*s, "beside", 8);
  while (large.right() < 100 || beside.right() < 100) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  small.expect_all_right();
  large.expect_all_right();
  beside.expect_all_right();
}

TEST_F(LoadingTest, AVersionIsSwappedWhileItsBucketsAreComing) {
  model("m", kSlowToMake);
  const auto s = service();
  ASSERT_TRUE(s->start().ok());
  Load load_of_it(*s, "m", 8);
  for (int round = 0; round < 4; ++round) {
    const int before = load_of_it.right();
    while (load_of_it.right() < before + 5) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    model("m", std::string(kSlowToMake) + "# edition " + std::to_string(round) + "\n");
    ASSERT_TRUE(load(*s, "m").ok());
  }
  load_of_it.expect_all_right();
}

TEST_F(LoadingTest, WhatNoBucketHoldsIsRefusedWithTheCause) {
  model("m", "fault capture 4 the card is full\n");
  const auto s = service();
  ASSERT_TRUE(s->start().ok());
  const auto infer = [&](std::int64_t rows) {
    const std::vector<std::int32_t> numbers(static_cast<std::size_t>(rows) * 4, 7);
    auto call = std::make_shared<TestCall>();
    call->request.model = "m";
    call->request.inputs = {{"INPUT0", {DType::kInt32, {rows, 4}, std::as_bytes(std::span(numbers))}}};
    s->infer(call);
    return call->wait();
  };
  for (int i = 0; i < 2; ++i) {  // once it may have waited, then it is known
    const auto refused = infer(5);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
    EXPECT_EQ(refused.error().message(),
              "Request for model 'm' has 5 rows, more than any batch size that could be made ready: the card is full");
  }
  EXPECT_TRUE(infer(2).ok());
  EXPECT_FALSE(infer(3).ok());
}

// The pretended plans are of one lane, and are there in one slice.
TEST_F(LoadingTest, AModelThatCannotBeCapturedServesBesideOthersUnderEveryPolicy) {
  model("odd", "fault uncapturable its run asks the host\n");
  model("usual");
  for (const char* policy : {"tessera", "temporal", "streams", "fixed", "gslice", "dstack"}) {
    SCOPED_TRACE(policy);
    const auto s = service([&](ServiceOptions& options) { options.policy = policy; });
    const Status started = s->start();
    ASSERT_TRUE(started.ok()) << started.error().message();
    Load odd(*s, "odd", 8);
    Load usual(*s, "usual", 8);
    const TimePoint late = now() + std::chrono::seconds(30);
    while ((odd.right() < 100 || usual.right() < 100) && now() < late) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    ASSERT_LT(now(), late) << odd.right() << " and " << usual.right();
    odd.expect_all_right();
    if (policy == std::string_view("tessera")) {  // others lend a slice late where all are busy
      ASSERT_TRUE(wait_for([&](auto done) { s->models().unload("odd", std::move(done)); }).ok());
      ASSERT_TRUE(load(*s, "odd").ok());
      Load again(*s, "odd", 8);
      while (again.right() < 20) {
        std::this_thread::sleep_for(milliseconds(1));
      }
      again.expect_all_right();
    }
    usual.expect_all_right();
    const ModelStatistics of_odd = s->statistics("odd", 1)->at(0);
    EXPECT_GT(of_odd.uncaptured_batches, 0U);
    EXPECT_EQ(of_odd.uncaptured_batches, of_odd.execution_count);
    for (const auto& [atom, launches] : of_odd.launches_by_atom) {
      EXPECT_EQ(launches > 0, atom.second < 2) << atom.second;
    }
    EXPECT_EQ(s->statistics("usual", 1)->at(0).uncaptured_batches, 0U);
  }
}

TEST_F(LoadingTest, AModelThatIsUnloadedWhileItGrowsAnswersWhoWaits) {
  model("m", "build_time 100ms\n");
  const auto s = service();
  ASSERT_TRUE(s->start().ok());
  const std::vector<std::int32_t> numbers(32, 7);
  auto call = std::make_shared<TestCall>();
  call->request.model = "m";
  call->request.inputs = {{"INPUT0", {DType::kInt32, {8, 4}, std::as_bytes(std::span(numbers))}}};
  s->infer(call);
  ASSERT_TRUE(wait_for([&](auto done) { s->models().unload("m", std::move(done)); }).ok());
  const auto answer = call->wait();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().message(), "model 'm' was unloaded");
}

TEST_F(LoadingTest, ADeviceThatIsLostWhileAModelGrowsHoldsUpNobody) {
  for (const int after : {0, 10, 25, 60}) {
    SCOPED_TRACE(after);
    model("m", kSlowToMake);
    const auto s = service();
    ASSERT_TRUE(s->start().ok());
    Load load_of_it(*s, "m", 8);
    std::this_thread::sleep_for(milliseconds(after));
    device_->break_down(Error(ErrorCode::kDeviceLost, "bus error"));
    load_of_it.end();
  }
}

}  // namespace
}  // namespace tessera::runtime::test
