#include "loadgen/arrivals.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/check.h"
#include "loadgen/random.h"

namespace tessera::loadgen {
namespace {

// Times are added up in seconds of double: 2^53 ns are 104 days, so sums stay exact to the nanosecond for any run.
Duration span(double seconds) { return Duration(std::llround(seconds * 1e9)); }
double seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

class PoissonArrivals final : public Arrivals {
 public:
  PoissonArrivals(double rate, std::uint64_t seed) : rate_(rate), random_(seed) {}
  ScheduledArrival next() override {
    at_ += random_.exponential() / rate_;
    return {span(at_)};
  }

 private:
  double rate_;
  Random random_;
  double at_ = 0;
};

class GammaArrivals final : public Arrivals {
 public:
  GammaArrivals(const Gamma& process, double rate, std::uint64_t seed)
      : shape_(process.shape), scale_(1 / (rate * process.shape)), random_(seed) {}
  ScheduledArrival next() override {
    at_ += random_.gamma(shape_) * scale_;
    return {span(at_)};
  }

 private:
  double shape_;
  double scale_;
  Random random_;
  double at_ = 0;
};

class OnOffArrivals final : public Arrivals {
 public:
  OnOffArrivals(const OnOff& process, double rate, std::uint64_t seed)
      : on_(seconds(process.on)), off_(seconds(process.off)), rate_(rate * (on_ + off_) / on_), random_(seed) {
    // As if it had always run: on with the share of time that it is on.
    if (random_.uniform() > on_ / (on_ + off_)) {
      at_ = random_.exponential() * off_;
    }
    ends_ = at_ + random_.exponential() * on_;
  }
  ScheduledArrival next() override {
    for (;;) {
      const double at = at_ + random_.exponential() / rate_;
      if (at <= ends_) {
        at_ = at;
        return {span(at_)};
      }
      at_ = ends_ + random_.exponential() * off_;
      ends_ = at_ + random_.exponential() * on_;
    }
  }

 private:
  double on_;
  double off_;
  double rate_;
  Random random_;
  double at_ = 0;
  double ends_ = 0;
};

class DiurnalArrivals final : public Arrivals {
 public:
  DiurnalArrivals(const Diurnal& process, double rate, std::uint64_t seed)
      : process_(process), day_(seconds(process.day)), highest_(rate * (1 + process.swing)), random_(seed) {}
  ScheduledArrival next() override {
    for (;;) {  // thinning: Lewis and Shedler (1979)
      at_ += random_.exponential() / highest_;
      const double turn = 2 * std::numbers::pi * (at_ / day_ + process_.phase);
      const double part = (1 + process_.swing * std::sin(turn)) / (1 + process_.swing);
      if (random_.uniform() < part) {
        return {span(at_)};
      }
    }
  }

 private:
  Diurnal process_;
  double day_;
  double highest_;
  Random random_;
  double at_ = 0;
};

class ConstantArrivals final : public Arrivals {
 public:
  ConstantArrivals(const Constant& process, double rate, std::uint64_t seed)
      : gap_(1 / rate), jitter_(process.jitter), random_(seed), phase_(process.phase.value_or(random_.uniform())) {}
  ScheduledArrival next() override {
    const double late = jitter_ > 0 ? jitter_ * random_.uniform() : 0;
    return {span((static_cast<double>(count_++) + phase_ + late) * gap_)};
  }

 private:
  double gap_;
  double jitter_;
  Random random_;
  double phase_;
  std::uint64_t count_ = 0;
};

class TraceArrivals final : public Arrivals {
 public:
  TraceArrivals(Trace trace, double rate) : trace_(std::move(trace)), stretch_(trace_.per_second() / rate) {}
  ScheduledArrival next() override {
    const ScheduledArrival& one = (*trace_.arrivals)[place_];
    const double at = seconds(trace_.length) * static_cast<double>(pass_) + seconds(one.at);
    if (++place_ == trace_.arrivals->size()) {
      place_ = 0;
      ++pass_;
    }
    return {span(at * stretch_), one.rows};
  }

 private:
  Trace trace_;
  double stretch_;
  std::size_t place_ = 0;
  std::uint64_t pass_ = 0;
};

}  // namespace

double Trace::per_second() const { return static_cast<double>(arrivals->size()) / seconds(length); }

std::unique_ptr<Arrivals> make_arrivals(const Process& process, double per_second, std::uint64_t seed) {
  TESSERA_CHECK(per_second > 0);
  struct Make {
    double rate;
    std::uint64_t seed;
    std::unique_ptr<Arrivals> operator()(const Poisson&) const { return std::make_unique<PoissonArrivals>(rate, seed); }
    std::unique_ptr<Arrivals> operator()(const Gamma& p) const {
      return std::make_unique<GammaArrivals>(p, rate, seed);
    }
    std::unique_ptr<Arrivals> operator()(const OnOff& p) const {
      return std::make_unique<OnOffArrivals>(p, rate, seed);
    }
    std::unique_ptr<Arrivals> operator()(const Diurnal& p) const {
      return std::make_unique<DiurnalArrivals>(p, rate, seed);
    }
    std::unique_ptr<Arrivals> operator()(const Constant& p) const {
      return std::make_unique<ConstantArrivals>(p, rate, seed);
    }
    std::unique_ptr<Arrivals> operator()(const Trace& p) const { return std::make_unique<TraceArrivals>(p, rate); }
  };
  return std::visit(Make{per_second, seed}, process);
}

}  // namespace tessera::loadgen
