//! Upper bounds of the histograms' buckets, in seconds unless said otherwise; the dashboards of users rely on them.

/// Durations of work, 5 ms to 10 min.
pub const DURATION: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5,
    1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 120.0,
    150.0, 300.0, 450.0, 600.0,
];

/// The defaults of the Prometheus clients.
pub const CLIENT_DEFAULT: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Reconciles, as controller-runtime cuts them: 5 ms to 1 min.
pub const RECONCILE: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5,
    1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
];

/// Work queues, as controller-runtime cuts them: 1 ns to 1,000 s by tens.
pub const QUEUE: &[f64] = &[1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0];

/// Lives of nodes, 15 min to 30 days.
pub const LIFETIME: &[f64] = &[
    900.0,
    1800.0,
    2700.0,
    3600.0,
    7200.0,
    14400.0,
    21600.0,
    28800.0,
    36000.0,
    43200.0,
    57600.0,
    72000.0,
    86400.0,
    172_800.0,
    259_200.0,
    432_000.0,
    864_000.0,
    1_296_000.0,
    1_728_000.0,
    2_160_000.0,
    2_592_000.0,
];

/// Scores of consolidations, without unit.
pub const SCORE: &[f64] = &[0.1, 0.25, 0.33, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Times to the end of an instance: 1 s doubled ten times.
pub const INSTANCE_TERMINATION: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Times to the end of a claim: 1 s doubled eleven times.
pub const CLAIM_TERMINATION: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0];

/// Times in a condition: 0.5 s doubled fourteen times.
pub const CONDITION: &[f64] =
    &[0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0];

/// Requests to the API server: 1 ms times 1.5, nineteen times.
pub const REQUEST: &[f64] = &[
    0.001,
    0.0015,
    0.002_25,
    0.003_375,
    0.005_062_5,
    0.007_593_75,
    0.011_390_625,
    0.017_085_937_5,
    0.025_628_906_25,
    0.038_443_359_375,
    0.057_665_039_062_5,
    0.086_497_558_593_75,
    0.129_746_337_890_625,
    0.194_619_506_835_937_5,
    0.291_929_260_253_906_2,
    0.437_893_890_380_859_4,
    0.656_840_835_571_289,
    0.985_261_253_356_933_6,
    1.477_891_880_035_400_4,
    2.216_837_820_053_1,
];
/// Requests that are sent as one.
pub const BATCH: &[f64] = &[1.0, 2.0, 4.0, 5.0, 10.0, 25.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 1000.0];
