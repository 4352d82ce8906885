#include "tests/support/cuda/neighbours.h"

#include <gtest/gtest.h>
#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <optional>
#include <utility>

namespace tessera::device::contract {
namespace {

constexpr unsigned kPingThreads = 64;
constexpr int kTimes = 3;
constexpr std::size_t kPing = 0;  // streams
constexpr std::size_t kHog = 1;
constexpr std::size_t kFirstFiller = 2;

// All slices' holds and pings, made before anything runs. Owned by one thread.
class Sweep {
 public:
  Sweep(CardKit& kit, const PingOptions& options) : kit_(kit), options_(options) {
    for (const Slice& slice : ladder()) {
      holds_.push_back(kit_.make_hold(slice));
      pings_.push_back(make_ping(slice));
    }
    for (std::uint16_t atom = 0; atom < kit_.shape().atoms(); ++atom) {
      fillers_.push_back(kit_.make_hold({atom, 1}));
    }
  }

  std::vector<PairTimes> run(const std::function<void(const PairTimes&)>& tell) {
    std::vector<PairTimes> all;
    for (std::size_t ping = 0; ping < ladder().size(); ++ping) {
      const std::size_t first = all.size();
      std::vector<std::size_t> hogs;  // of all[first + i]
      for (std::size_t hog = 0; hog < ladder().size(); ++hog) {
        if (!ladder()[hog].overlaps(ladder()[ping])) {
          hogs.push_back(hog);
          all.push_back(measure(hog, ping));
        }
      }
      for (int again = 1; again < kTimes; ++again) {
        for (std::size_t i = 0; i < hogs.size(); ++i) {
          if (PairTimes& pair = all[first + i]; pair.ratio() > options_.suspect) {
            const PairTimes now = measure(hogs[i], ping);
            const int times = pair.times + 1;
            pair = now.ratio() < pair.ratio() ? now : pair;
            pair.times = times;
          }
        }
      }
      for (std::size_t i = first; tell && i < all.size(); ++i) {
        tell(all[i]);
      }
    }
    return all;
  }

 private:
  const std::vector<Slice>& ladder() const { return kit_.shape().ladder; }

  // A memset, a copy, and a kernel that takes a while on every processor of the slice.
  HomedGraph make_ping(const Slice& slice) {
    const auto blocks = static_cast<unsigned>(kit_.shape().processors_in(slice));
    const OwnedGraph source = kit_.captured([&](CUstream on) {
      CUdeviceptr sms = kit_.memory();
      auto busy = static_cast<std::uint64_t>(std::chrono::nanoseconds(options_.busy).count());
      std::array<void*, 2> values{&sms, &busy};
      const CUresult set = kit_.driver().memset_d8_async(kit_.memory(), 0, CardKit::kBytes, on);
      const CUresult copied =
          kit_.driver().memcpy_dtod_async(kit_.memory() + CardKit::kBytes, kit_.memory(), CardKit::kBytes, on);
      const CUresult launched = kit_.driver().launch_kernel(kit_.probes().kernels().function("note_sms"), blocks, 1, 1,
                                                            kPingThreads, 1, 1, 0, on, values.data(), nullptr);
      return std::max({set, copied, launched});
    });
    return kit_.homed(source.get(), kit_.context(slice));
  }

  double median_us(std::size_t ping) {
    std::vector<double> took;
    for (int i = 0; i < options_.pings; ++i) {
      const auto one = kit_.timed(pings_[ping], kit_.stream(kPing));
      if (!one) {
        return std::numeric_limits<double>::infinity();
      }
      took.push_back(static_cast<double>(one->count()) / 1000);
    }
    std::sort(took.begin(), took.end());
    return took[took.size() / 2];
  }

  // Alone right after, on the same stretch of the host's time.
  PairTimes measure(std::size_t hog, std::size_t ping) {
    const double took = beside(hog, ping);
    return {.hog = ladder()[hog], .ping = ladder()[ping], .alone_us = median_us(ping), .beside_us = took};
  }

  double beside(std::size_t hog, std::size_t ping) {
    kit_.start(holds_[hog], kit_.stream(kHog));
    std::size_t next = kFirstFiller;
    for (std::uint16_t atom = 0; atom < kit_.shape().atoms(); ++atom) {
      if (!ladder()[hog].contains(atom) && !ladder()[ping].contains(atom)) {
        kit_.start(fillers_[atom], kit_.stream(next++));
      }
    }
    const std::size_t free = CardKit::kStreams - next;
    for (std::size_t i = 0; i < options_.awaited; ++i) {
      const CUstream waiter = kit_.stream(next + i % free);
      kit_.wait_for(waiter, kit_.stream(kHog));
      EXPECT_TRUE(pings_[hog].launch(waiter).ok());
    }
    const double took = median_us(ping);
    CardKit::open(holds_[hog]);
    for (const Hold& filler : fillers_) {
      CardKit::open(filler);
    }
    for (std::size_t i = 0; i < CardKit::kStreams; ++i) {
      EXPECT_TRUE(kit_.ends(kit_.stream(i), CardKit::kLong));
    }
    return took;
  }

  CardKit& kit_;
  const PingOptions options_;
  std::vector<Hold> holds_;        // by place in the ladder
  std::vector<HomedGraph> pings_;  // likewise
  std::vector<Hold> fillers_;      // by atom
};

std::string to_string(const Slice& slice) { return std::to_string(slice.first) + "+" + std::to_string(slice.count); }

}  // namespace

std::string to_string(const PairTimes& pair) {
  std::array<char, 120> text{};
  std::snprintf(text.data(), text.size(), "ping in %s beside a hog in %s: %.1f us, alone %.1f us",
                to_string(pair.ping).c_str(), to_string(pair.hog).c_str(), pair.beside_us, pair.alone_us);
  return text.data();
}

std::vector<PairTimes> ping_beside_hogs(CardKit& kit, const PingOptions& options,
                                        const std::function<void(const PairTimes&)>& tell) {
  return Sweep(kit, options).run(tell);
}

}  // namespace tessera::device::contract
