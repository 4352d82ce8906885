// Many threads against a real host device: nobody is forgotten, nobody gets another's numbers.
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "device/host/host_device.h"
#include "support.h"

namespace tessera::runtime::test {
namespace {

std::unique_ptr<Serving> host_serving(const std::string& policy = "tessera", std::size_t max_waiting = 65536) {
  auto device = device::make_host_device({});
  TESSERA_CHECK(device.ok());
  ServingOptions options;
  options.policy = policy;
  options.limits.max_waiting = max_waiting;
  auto serving = Serving::create(std::move(options), std::move(device).value());
  TESSERA_CHECK(serving.ok());
  return std::move(serving).value();
}

// Keeps a core busy.
void spin(Duration span) {
  const TimePoint end = now() + span;
  while (now() < end) {
  }
}

// Whether an answer is right, or one of the errors that the request's own wishes can lead to.
bool is_fair(const TestCall& call, const Result<InferResponse>& answer) {
  if (answer.ok()) {
    return add_sub_is_right(call, answer);
  }
  switch (answer.error().code()) {
    case ErrorCode::kCancelled:
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kResourceExhausted:
      return true;
    case ErrorCode::kInternal:
      return answer.error().message() == "unlucky";
    default:
      return false;
  }
}

class ServingUnderLoad : public testing::TestWithParam<std::string> {};

TEST_P(ServingUnderLoad, EveryRequestIsAnsweredOnceWithItsOwnNumbers) {
  constexpr int kPosters = 6;
  constexpr int kEach = 1500;
  const auto serving = host_serving(GetParam(), 256);
  publish(*serving, make_instance({1}, "plain", add_sub_plan()));
  publish(*serving, make_instance({2}, "shapes", add_sub_plan(), add_sub_signature(4, -1)));
  publish(*serving, make_instance({3}, "slow", [](const Slice&, Batch& batch) {
    spin(microseconds(150));
    return add_sub(batch);
  }));
  std::atomic<int> runs{0};
  publish(*serving, make_instance({4}, "flaky", [&](const Slice&, Batch& batch) {
    return runs++ % 5 == 4 ? Status(internal_error("unlucky")) : add_sub(batch);
  }));
  std::atomic<int> unfair{0};
  std::atomic<int> good{0};
  std::vector<std::thread> posters;
  for (int poster = 0; poster < kPosters; ++poster) {
    posters.emplace_back([&, poster] {
      std::mt19937 random(static_cast<unsigned>(poster));
      std::vector<std::shared_ptr<TestCall>> open;
      for (int i = 0; i < kEach; ++i) {
        const char* models[] = {"plain", "shapes", "slow", "flaky"};
        const std::size_t which = random() % 4;
        auto call =
            add_sub_call(models[which], poster * kEach + i, 1 + random() % 3, which == 1 ? 3 + random() % 4 : 16);
        if (random() % 8 == 0) {
          call->request.timeout = microseconds(random() % 2000);
        }
        serving->infer(call);
        if (random() % 8 == 0) {
          serving->cancel(*call);
        }
        open.push_back(std::move(call));
        if (open.size() == 16) {
          for (const auto& one : open) {
            const auto answer = one->wait();
            unfair += is_fair(*one, answer) ? 0 : 1;
            good += answer.ok() ? 1 : 0;
          }
          open.clear();
        }
      }
      for (const auto& one : open) {
        unfair += is_fair(*one, one->wait()) ? 0 : 1;
      }
    });
  }
  for (auto& poster : posters) {
    poster.join();
  }
  EXPECT_EQ(unfair, 0);
  EXPECT_GT(good, kPosters * kEach / 4);
  EXPECT_TRUE(serving->drain(milliseconds(1000)));
  std::uint64_t counted = 0;
  for (const ModelStatistics& model : serving->statistics().all()) {
    counted += model.success.count + model.fail.count;
    EXPECT_EQ(model.pending, 0U);
  }
  EXPECT_EQ(counted, static_cast<std::uint64_t>(kPosters * kEach));
}

INSTANTIATE_TEST_SUITE_P(Policies, ServingUnderLoad, testing::Values("tessera", "temporal", "fixed"),
                         [](const auto& info) { return info.param; });

TEST(Serving, AWaitEndsInTimeWhileEveryCoreRunsAModel) {
  const auto serving = host_serving();
  const auto cores = serving->device().shape().atoms();
  std::atomic<int> running{0};
  std::atomic<bool> stop{false};
  const auto hog = [&](const Slice&, Batch& batch) {
    ++running;
    while (!stop) {
      spin(microseconds(100));
    }
    return add_sub(batch);
  };
  std::vector<std::shared_ptr<TestCall>> hogs;
  for (std::uint16_t i = 0; i < cores; ++i) {
    const std::string name = "hog" + std::to_string(i);
    publish(*serving, make_instance({i + 1U}, name, hog),
            sched::Profile({{1, 1, milliseconds(50)}, {1, cores, milliseconds(50)}}));
    hogs.push_back(add_sub_call(name, 1));
    serving->infer(hogs.back());
  }
  while (running == 0) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  Duration worst{0};
  for (int i = 0; i < 20; ++i) {
    auto call = add_sub_call("hog0", 2);
    call->request.arrival = now();
    call->request.timeout = milliseconds(10);
    serving->infer(call);
    const auto answer = call->wait();
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code(), ErrorCode::kDeadlineExceeded);
    worst = std::max(worst, call->answered_at - call->request.arrival - milliseconds(10));
  }
  stop = true;
  for (const auto& call : hogs) {
    EXPECT_TRUE(add_sub_is_right(*call, call->wait()));
  }
  RecordProperty("worst_lateness_us", static_cast<int>(worst.count() / 1000));
  std::printf("worst lateness %.3f ms\n", static_cast<double>(worst.count()) * 1e-6);
  // The bar is 5 ms on a quiet machine (bench/service_bench measures it); here it must not be the end of the run.
  EXPECT_LT(worst, milliseconds(500));
}

TEST(Serving, ReloadingUnderLoadFailsNoRequest) {
  const auto serving = host_serving();
  std::uint32_t id = 1;
  auto current = publish(*serving, make_instance({id}, "m", add_sub_plan()));
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::atomic<int> right{0};
  std::vector<std::thread> posters;
  for (int poster = 0; poster < 3; ++poster) {
    posters.emplace_back([&, poster] {
      for (int i = 0; !stop; ++i) {
        auto call = add_sub_call("m", poster * 100000 + i);
        serving->infer(call);
        (add_sub_is_right(*call, call->wait()) ? right : wrong) += 1;
      }
    });
  }
  for (int reload = 0; reload < 30; ++reload) {
    auto next = publish(*serving, make_instance({++id}, "m", add_sub_plan()));
    serving->withdraw(*current);
    current = next;
    const int before = right;
    while (right + wrong < before + 20) {
      std::this_thread::sleep_for(microseconds(100));
    }
  }
  stop = true;
  for (auto& poster : posters) {
    poster.join();
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(right, 0);
}

TEST(Serving, TheLoaderBorrowsAgainAndAgainBesideTheLoad) {
  const auto serving = host_serving();
  publish(*serving, make_instance({1}, "m", add_sub_plan()));
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread poster([&] {
    for (int i = 0; !stop; ++i) {
      auto call = add_sub_call("m", i);
      serving->infer(call);
      wrong += add_sub_is_right(*call, call->wait()) ? 0 : 1;
    }
  });
  for (int step = 0; step < 50; ++step) {
    EXPECT_TRUE(
        serving->with_borrowed(serving->device().shape().loader, microseconds(100), [] { return ok_status(); }).ok());
  }
  stop = true;
  poster.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Serving, AFaultOfTheProcessorIsAnErrorToEachAndNobodyHangs) {
  const auto serving = host_serving();
  std::atomic<int> runs{0};
  publish(*serving, make_instance({1}, "m", [&](const Slice&, Batch& batch) {
    return runs++ == 200 ? Status(Error(ErrorCode::kDeviceLost, "machine check")) : add_sub(batch);
  }));
  std::atomic<int> good{0};
  std::atomic<int> lost{0};
  std::atomic<int> other{0};
  std::vector<std::thread> posters;
  for (int poster = 0; poster < 4; ++poster) {
    posters.emplace_back([&, poster] {
      for (int i = 0; i < 500; ++i) {
        auto call = add_sub_call("m", poster * 1000 + i);
        serving->infer(call);
        const auto answer = call->wait();
        if (answer.ok()) {
          good += add_sub_is_right(*call, answer) ? 1 : 0;
        } else {
          (answer.error().code() == ErrorCode::kDeviceLost ? lost : other) += 1;
        }
      }
    });
  }
  for (auto& poster : posters) {
    poster.join();
  }
  EXPECT_GT(good, 0);
  EXPECT_GT(lost, 0);
  EXPECT_EQ(other, 0);
  EXPECT_EQ(good + lost, 2000);
  while (serving->accepts()) {  // the device says so after the last completion
    std::this_thread::sleep_for(milliseconds(1));
  }
}

TEST(Serving, DrainingUnderLoadAnswersEverybody) {
  const auto serving = host_serving();
  publish(*serving, make_instance({1}, "m", add_sub_plan()));
  std::atomic<bool> refused[3] = {};
  std::atomic<int> wrong{0};
  std::vector<std::thread> posters;
  for (int poster = 0; poster < 3; ++poster) {
    posters.emplace_back([&, poster] {
      for (int i = 0; !refused[poster]; ++i) {
        auto call = add_sub_call("m", i);
        serving->infer(call);
        const auto answer = call->wait();
        if (answer.ok()) {
          wrong += add_sub_is_right(*call, answer) ? 0 : 1;
        } else {
          wrong += answer.error().code() == ErrorCode::kUnavailable ? 0 : 1;
          refused[poster] = true;
        }
      }
    });
  }
  std::this_thread::sleep_for(milliseconds(30));
  EXPECT_TRUE(serving->drain(milliseconds(5000)));
  for (auto& poster : posters) {
    poster.join();
  }
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace tessera::runtime::test
