"""Release a net: cross-validate, calibrate, test on out-of-distribution sounds, and write its model card.

rows         leave-one-fold-out cross-validation with several seeds; an interrupted run resumes row by row
calibration  temperature scaling and the confidence threshold
probes       synthetic sounds and corrupted clips
trials       predictions for corrupted, synthetic and out-of-distribution sounds
features     the inner layers of the rows' nets, evaluated with the SVM protocol
attribution  authors and licences of the training clips
delivery     the released net: float16 weights and all measurements
card         its model card
shelf        its entry in models.json
"""
