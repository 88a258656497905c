"""A net that ships: measured by leaving folds out, calibrated, tried on sounds that it never met, and described.

rows         leave one fold out, with several seeds; what stops goes on row by row
calibration  a temperature, and the confidence from which an answer is one
sounds       made sounds, and clips made worse
trials       what nets say to all of these
features     the rows' inner layers under the SVM protocol
attribution  who made the clips that a net learned from
delivery     the saved net that ships, in halves, with all that was measured
card         its model card
shelf        its line in models.json
"""
